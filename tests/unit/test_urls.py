import pytest

from twinfolio.urls import without_password


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("mysql://u:p@h/d", "mysql://u@h/d"),
        ("postgresql+psycopg://me:secret@127.0.0.1:5432/studies", "postgresql+psycopg://me@127.0.0.1:5432/studies"),
        ("postgresql://me:p@ss:w@host/d", "postgresql://me@host/d"),
        ("postgresql://:secret@host/d", "postgresql://@host/d"),
        ("postgresql://me@host:5432/d", "postgresql://me@host:5432/d"),
        ("postgresql://host:5432/d", "postgresql://host:5432/d"),
        ("sqlite:///folder/study.db", "sqlite:///folder/study.db"),
        ("postgresql://host/d?user=me&password=secret", "postgresql://host/d?user=me"),
        ("postgresql://me@/d?host=/run/pg", "postgresql://me@/d?host=/run/pg"),
        ("postgresql://host:5432/d?options=a@b", "postgresql://host:5432/d?options=a%40b"),
    ],
)
def test_the_password_goes_and_the_rest_of_a_url_stays(url, shown):
    assert without_password(url) == shown
