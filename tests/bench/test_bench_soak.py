"""The soak's own arithmetic: percentiles, growth, limits. A whole soak is among the proofs."""

import soak
from soak import Distribution, Sample, Seen


def samples(*rss: float) -> list[Sample]:
    return [Sample(number, mb, {}) for number, mb in enumerate(rss)]


def found(**more: object) -> dict[str, object]:
    return {"errors": 0, "first_errors": [], "processes_gone": 0, "rss_growth": 1.0} | more


def test_percentiles_are_right_within_two_per_cent():
    times = Distribution()
    for milliseconds in range(1, 1001):
        times.add(milliseconds / 1e3)

    assert times.line()["requests"] == 1000
    for share in (0.5, 0.95, 0.99, 1.0):
        assert 1000 * share <= times.percentile_ms(share) <= 1000 * share * 1.02
    assert Distribution().percentile_ms(0.5) == 0


def test_growth_compares_the_last_third_with_the_second_and_forgets_the_warming_up():
    assert soak.growth(samples(1, 20, 100, 100, 100, 103, 105, 107, 900)[:8]) is not None
    assert soak.growth(samples(1, 20, 30, 100, 100, 100, 105, 105, 105)) == 1.05
    assert soak.growth(samples(1, 2)) is None


def test_every_broken_limit_is_said():
    assert soak.broken(found(), 1.05) == []
    assert len(soak.broken(found(errors=1, first_errors=["get: 500"]), 1.05)) == 1
    assert len(soak.broken(found(processes_gone=1), 1.05)) == 1
    assert len(soak.broken(found(rss_growth=1.06), 1.05)) == 1
    assert len(soak.broken(found(rss_growth=None), 1.05)) == 1


def test_errors_are_counted_and_the_first_of_them_kept():
    seen = Seen()
    for number in range(9):
        seen.note("get", 0.001, f"500 {number}", late=number == 0)
    seen.note("poll", 0.001, None, late=False)

    assert (seen.requests, seen.errors, seen.late) == (10, 9, 1)
    assert seen.first_errors == [f"get: 500 {number}" for number in range(soak.KEPT_ERRORS)]
