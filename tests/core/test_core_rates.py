"""How often somebody may ask."""

from radicale_shared.rates import Rates


def test_so_many_are_let_through_at_once_and_no_more():
    rates = Rates(2)

    assert [rates.take("ada"), rates.take("ada")] == [0, 0]
    assert 0 < rates.take("ada") <= 30
    assert rates.take("ben") == 0


def test_after_a_while_one_more_is_let_through():
    rates = Rates(6000)
    # Takes longer than a 6000th of a minute.
    passed = sum(rates.take("ada") == 0 for _ in range(200_000))

    assert 6000 < passed < 200_000


def test_no_more_who_asked_are_remembered_than_matter():
    rates = Rates(1)
    rates.take("ada")
    for at in range(10_000):
        rates.take(at)

    assert rates.take(9_999) > 0
    assert rates.take("ada") == 0
