import pytest

from tandem.emulator.state.errors import InvalidArgument
from tandem.emulator.state.names import new_subscription_name, page, project_name, subscription_name, topic_name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("projects/p/topics/abc", id="shortest"),
        pytest.param("projects/my-project-1/topics/a-b_c.d~e+f%g", id="every sign"),
        pytest.param("projects/example.com:shop/topics/orders", id="project of a domain"),
        pytest.param("projects/p/topics/" + "a" * 255, id="longest"),
    ],
)
def test_topic_names_that_are_taken(name: str) -> None:
    assert topic_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("", id="empty"),
        pytest.param("orders", id="short name"),
        pytest.param("projects/p/subscriptions/orders", id="a subscription"),
        pytest.param("projects//topics/orders", id="no project"),
        pytest.param("projects/p/topics/ab", id="too short"),
        pytest.param("projects/p/topics/" + "a" * 256, id="too long"),
        pytest.param("projects/p/topics/1abc", id="starts with a digit"),
        pytest.param("projects/p/topics/goog-orders", id="reserved"),
        pytest.param("projects/p/topics/or ders", id="blank"),
        pytest.param("projects/p/topics/or/ders", id="slash"),
        pytest.param("projects/p/topics/orders\n", id="line end"),
    ],
)
def test_topic_names_that_are_refused(name: str) -> None:
    with pytest.raises(InvalidArgument) as refusal:
        topic_name(name)
    assert f"(name={name})" in str(refusal.value)


def test_a_topic_is_no_subscription() -> None:
    with pytest.raises(InvalidArgument, match="projects/PROJECT/subscriptions/SUBSCRIPTION"):
        subscription_name("projects/p/topics/orders")


def test_project_names() -> None:
    assert project_name("projects/shop") == "projects/shop"
    with pytest.raises(InvalidArgument):
        project_name("shop")


def test_given_names_are_valid_differ_and_keep_the_project() -> None:
    first, second = (new_subscription_name("projects/shop/topics/orders") for _ in range(2))
    assert first != second
    assert subscription_name(first).startswith("projects/shop/subscriptions/")


@pytest.mark.parametrize("size", [0, 1, 2, 3, 5, 7])
def test_pages_show_everything_once_in_order(size: int) -> None:
    names = [f"n{i}" for i in (3, 1, 4, 0, 2)]
    seen, token = [], ""
    for _ in range(len(names)):
        shown, token = page(names, size, token)
        assert len(shown) <= (size or 1000)
        seen += shown
        if not token:
            break
    assert token == ""
    assert seen == sorted(names)


def test_a_page_has_at_most_a_thousand_names() -> None:
    shown, token = page([f"n{i:04}" for i in range(1001)], 5000, "")
    assert len(shown) == 1000
    assert token == "n0999"


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="page_size"):
        page([], -1, "")
