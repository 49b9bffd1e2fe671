"""A real Active Directory domain controller: Samba, in a network of its own, with relays to its ports.

Everybody's password is PASSWORD; the fifth wrong one in a row locks an account. Ada is in ``Inner``, that is in
``Middle``, that is in ``Outer``, and this in ``Inner`` again; Ben is in ``Outer``. Dora is disabled, Eva's account has
expired, Max must change his password.

Making a domain takes some seconds, so all processes of a test run share one: the first that needs it starts it, the
last that is done stops it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ldap3

from radicale_shared.directory_settings import PRESETS, DirectorySettings
from tests.ldap.certificates import Authority
from tests.ldap.relay import Relay

PASSWORD = "Secret-1"  # everybody's
SUFFIX = "DC=example,DC=org"
DOMAIN_NAME = "EXAMPLE"
ADMINISTRATOR = f"CN=Administrator,CN=Users,{SUFFIX}"
PYTHON = "/usr/bin/python3"  # the one that Debian's Samba is for

# Without a folder for its own number, a second Samba on the machine ends at once.
# Root isn't needed by the domain but by its ports (389, 636), and by the network that hides them.
_CONFIGURATION = """\
[global]
realm = EXAMPLE.ORG
workgroup = EXAMPLE
netbios name = DC
server role = active directory domain controller
server services = ldap
vfs objects = dfs_samba4
log file = {folder}/log
pid directory = {folder}
ncalrpc dir = {folder}/ncalrpc
"""

_PROVISION = f"""
import logging, sys
from samba.auth import system_session
from samba.dsdb import DS_DOMAIN_FUNCTION_2008_R2
from samba.param import LoadParm
from samba.provision import FILL_FULL, provision
from samba.samdb import SamDB

folder = sys.argv[1]
lp = LoadParm()
lp.load(folder + "/smb.conf")
made = provision(
    logging.getLogger("provision"), system_session(), smbconf=folder + "/smb.conf", targetdir=folder,
    realm="EXAMPLE.ORG", domain="{DOMAIN_NAME}", hostname="dc", hostip="127.0.0.1", adminpass="{PASSWORD}",
    serverrole="active directory domain controller", dns_backend="NONE", skip_sysvolacl=True, batch_mode=True, lp=lp,
    samdb_fill=FILL_FULL, dom_for_fun_level=DS_DOMAIN_FUNCTION_2008_R2,
)
db = SamDB(url=made.paths.samdb, session_info=system_session(), lp=made.lp)
for login, given, name in [
    ("ada", "Ada", "Lovelace"), ("ben", "Ben", "Bitdiddle"), ("carla", "Carla", "Coder"), ("dora", "Dora", "Disabled"),
    ("eva", "Eva", "Expired"), ("max", "Max", "Must-Change"),
]:
    db.newuser(login, "{PASSWORD}", givenname=given, surname=name, mailaddress=login + "@example.org")
db.disable_account("(sAMAccountName=dora)")
db.setexpiry("(sAMAccountName=eva)", -86400)
db.force_password_change_at_next_login("(sAMAccountName=max)")
db.set_minPwdAge("0")
db.modify_ldif("dn: {SUFFIX}\\nchangetype: modify\\nreplace: lockoutThreshold\\nlockoutThreshold: 5\\n")
for name in ("Inner", "Middle", "Outer"):
    db.newgroup(name)
db.add_remove_group_members("Inner", ["ada"], add_members_operation=True)
db.add_remove_group_members("Middle", ["Inner"], add_members_operation=True)
db.add_remove_group_members("Outer", ["Middle", "ben"], add_members_operation=True)
db.add_remove_group_members("Inner", ["Outer"], add_members_operation=True)
"""


def missing() -> str:
    """Why Samba can't be run here; empty where it can."""
    if not Path(PYTHON).exists() or not shutil.which("samba", path="/usr/sbin:/usr/bin"):
        return "samba is not installed (Debian: apt-get install samba samba-ad-provision)"
    if os.geteuid() != 0:
        return "Samba needs root, for a network of its own"
    try:
        inside = subprocess.run(["unshare", "-n", "ip", "link", "set", "lo", "up"], capture_output=True, check=False)
    except FileNotFoundError:
        return "unshare is not installed"
    if inside.returncode:
        return "no network of its own can be made here (unshare -n ip link set lo up)"
    done = subprocess.run(
        [PYTHON, "-c", "from samba import provision, samdb; print(provision.setup_path('ad-schema'))"],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode or not Path(done.stdout.strip()).is_dir():
        return "samba's Python modules are not complete (Debian: apt-get install samba-ad-provision samba-dsdb-modules)"
    return ""


@dataclass(frozen=True)
class Samba:
    """The domain controller; ``plain`` and ``tls`` are relays to its ports, ``ca_file`` has its CA."""

    plain: Relay
    tls: Relay
    ca_file: Path

    def settings(self, **changes: Any) -> DirectorySettings:
        """Settings that fit, with TLS."""
        fitting: dict[str, Any] = {
            "name": "corp",
            "kind": "ad",
            "servers": (self.tls.tls_url,),
            "ca_file": str(self.ca_file),
            "bind_dn": ADMINISTRATOR,
            "bind_password": PASSWORD,
            "domains": ("example.org", DOMAIN_NAME),
            "people_base": (SUFFIX,),
            "group_base": (SUFFIX,),
        }
        return DirectorySettings(**{**PRESETS["ad"], **fitting, **changes})

    @contextlib.contextmanager
    def administrator(self) -> Iterator[ldap3.Connection]:
        """A connection that may change the domain; what fails raises."""
        server = ldap3.Server("127.0.0.1", port=self.tls.port, use_ssl=True, get_info=ldap3.NONE)
        options = {"auto_bind": True, "check_names": False, "raise_exceptions": True, "receive_timeout": 60}
        with ldap3.Connection(server, ADMINISTRATOR, PASSWORD, **options) as connection:
            yield connection


@contextlib.contextmanager
def shared(folder: Path) -> Iterator[Samba]:
    """The domain controller of this test run, whose processes have ``folder`` in common."""
    with _locked(folder) as state:
        if not state.get("users"):
            if "ca_file" not in state:
                state["ca_file"] = str(_provisioned(folder))
            state.update(pid=_started(folder), users=0)
        state["users"] += 1
        ca_file = Path(state["ca_file"])
    plain, tls = Relay(folder / "389"), Relay(folder / "636")
    try:
        yield Samba(plain, tls, ca_file)
    finally:
        plain.stop()
        tls.stop()
        with _locked(folder) as state:
            state["users"] -= 1
            if not state["users"]:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(state["pid"], signal.SIGKILL)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[dict[str, Any]]:
    """What the processes tell one another; one at a time."""
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = folder / "state.json"
        state: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.exists() else {}
        yield state
        path.write_text(json.dumps(state), "utf-8")


def _provisioned(folder: Path) -> Path:
    """Make the domain; the file of its certificate authority."""
    authority = Authority(folder / "authority")
    certificate = authority.issue("dc", "IP:127.0.0.1", "DNS:dc.example.org")
    domain = folder / "domain"
    shutil.rmtree(domain, ignore_errors=True)  # of another process that failed
    domain.mkdir()
    (domain / "smb.conf").write_text(_CONFIGURATION.format(folder=domain), "utf-8")
    done = subprocess.run([PYTHON, "-c", _PROVISION, domain], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    configuration = domain / "etc" / "smb.conf"
    options = {"keyfile": certificate.key, "certfile": certificate.certificate, "cafile": authority.file}
    tls = "".join(f"\ttls {name} = {file}\n" for name, file in options.items())
    configuration.write_text(configuration.read_text("utf-8").replace("[global]\n", f"[global]\n{tls}"), "utf-8")
    certificate.key.chmod(0o600)
    return authority.file


def _started(folder: Path) -> int:
    """Start it; the process group that it is in."""
    # From outside, sockets in the file system are all that can be seen of the network inside.
    inside = (
        "import pathlib, socket, sys, threading\n"
        "def pump(a, b):\n"
        "    while part := a.recv(65536): b.sendall(part)\n"
        "    b.shutdown(socket.SHUT_RDWR)\n"
        "def serve(path, port):\n"
        "    with socket.socket(socket.AF_UNIX) as listener:\n"
        "        listener.bind(path); listener.listen(64)\n"
        "        while True:\n"
        "            client = listener.accept()[0]\n"
        "            try: server = socket.create_connection(('127.0.0.1', port))\n"
        "            except OSError: client.close(); continue\n"
        "            for pair in ((client, server), (server, client)):\n"
        "                threading.Thread(target=pump, args=pair, daemon=True).start()\n"
        "threading.excepthook = lambda _: None\n"
        "for port in (389, 636):\n"
        "    path = pathlib.Path(sys.argv[1], str(port)); path.unlink(missing_ok=True)\n"
        "    threading.Thread(target=serve, args=(str(path), port)).start()\n"
    )
    samba = 'samba -F --no-process-group -M single -s "$2/domain/etc/smb.conf"'
    script = f'ip link set lo up; {PYTHON} -c "$1" "$2" & exec {samba}'
    with (folder / "samba.log").open("ab") as log:
        process = subprocess.Popen(
            ["unshare", "-n", "sh", "-c", script, "sh", inside, folder],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    for _ in range(1200):
        assert process.poll() is None, (folder / "samba.log").read_text("utf-8", "replace")
        # An anonymous bind: the relay listens before the server does, and hangs up until then.
        with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
            probe.settimeout(1)
            probe.connect(str(folder / "389"))
            probe.sendall(bytes.fromhex("300c020101600702010304008000"))
            if probe.recv(1):
                return process.pid
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGKILL)
    raise AssertionError("Samba doesn't answer: " + (folder / "samba.log").read_text("utf-8", "replace"))
