from __future__ import annotations

from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuner_service.web.targets import HOME, local_target


@pytest.mark.parametrize("wanted", ["/", "/dashboard", "/dashboard/studies/3?tab=1&x=%2F", "/v1/jobs#top"])
def test_a_path_of_the_service_is_accepted(wanted: str):
    assert local_target(wanted) == wanted


@pytest.mark.parametrize(
    "wanted",
    [
        "",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/a\\..\\b",
        "https://evil.example",
        "javascript:alert(1)",
        "evil.example",
        " /x",
        "/x\r\nSet-Cookie: a=b",
        "/é",
        "/" + "x" * 5000,
    ],
)
def test_anything_else_leads_home(wanted: str):
    assert local_target(wanted) == HOME


@given(st.text(alphabet="/\\:@.?#ab\t\n %", max_size=12))
def test_no_target_leaves_the_service(wanted: str):
    target = urljoin("https://tuner.example/login", local_target(wanted))
    assert urlsplit(target).netloc == "tuner.example"
