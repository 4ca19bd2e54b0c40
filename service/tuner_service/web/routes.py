"""``/``, ``/login``, ``/logout``: for people with a browser."""

from __future__ import annotations

from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from tuner_service.access import PrincipalDep
from tuner_service.auth.guard import Guard, address_of
from tuner_service.auth.sessions import CSRF_FIELD, Session
from tuner_service.errors import ForgedRequest, TooManyRequests, Unauthenticated
from tuner_service.resources import ResourcesDep
from tuner_service.web.pages import home_page, login_page
from tuner_service.web.targets import local_target

router = APIRouter(include_in_schema=False)

_FIELDS = 10
_STALE = "This page was open for too long, or cookies are off. Try again."


@router.get("/")
def home(request: Request, asking: PrincipalDep, resources: ResourcesDep) -> Response:
    """Who is logged in, and where to go."""
    session: Session | None = request.state.session
    csrf_token = resources.guard.sessions.csrf_token(session) if session else None
    return home_page(asking, csrf_token=csrf_token)


@router.get("/login")
def show_login(request: Request, resources: ResourcesDep) -> Response:
    """The form; where nobody logs in, straight on."""
    target = local_target(request.query_params.get("next", ""))
    if not resources.guard.login_needed:
        return RedirectResponse(target, status_code=303)
    return _form(resources.guard, target=target)


@router.post("/login")
async def log_in(request: Request, resources: ResourcesDep) -> Response:
    """Exchange a token for a session."""
    guard, form = resources.guard, await _fields(request)
    target = local_target(form.get("next", ""))
    if not guard.login_needed:
        return RedirectResponse(target, status_code=303)
    cookie = request.cookies.get(guard.sessions.form_cookie, "")
    if not guard.sessions.is_own_form(form.get(CSRF_FIELD, ""), cookie=cookie):
        return _form(guard, target=target, wrong=_STALE, status=403)
    try:
        principal = await guard.log_in(form.get("token", "").strip(), address=address_of(request))
    except Unauthenticated:
        return _form(
            guard, target=target, wrong="This token is not accepted: it is unknown, expired or revoked.", status=401
        )
    except TooManyRequests as error:
        answer = _form(guard, target=target, wrong=f"Too many tries. Try again in {error.seconds} s.", status=429)
        answer.headers["Retry-After"] = str(error.seconds)
        return answer
    answer = RedirectResponse(target, status_code=303)
    if principal.token_id is not None:
        guard.sessions.begin(answer, token_id=principal.token_id)
    return answer


@router.post("/logout")
async def log_out(request: Request, resources: ResourcesDep) -> Response:
    """End the session of this browser. The token stays good.

    Raises:
        ForgedRequest: Another site may have sent it.
    """
    guard = resources.guard
    session: Session | None = request.state.session
    if session is not None:
        given = (await _fields(request)).get(CSRF_FIELD, "")
        if not guard.sessions.is_csrf_token(given, session=session):
            raise ForgedRequest
    answer = RedirectResponse("/login", status_code=303)
    guard.sessions.end(answer)
    return answer


def _form(guard: Guard, *, target: str, wrong: str = "", status: int = 200) -> Response:
    nonce, csrf_token = guard.sessions.new_form()
    answer = login_page(next_path=target, csrf_token=csrf_token, wrong=wrong, status=status)
    guard.sessions.remember_form(answer, nonce=nonce)
    return answer


async def _fields(request: Request) -> dict[str, str]:
    """What a form brings; nothing where it is none."""
    body = (await request.body()).decode("utf-8", "replace")
    try:
        return {name: values[0] for name, values in parse_qs(body, max_num_fields=_FIELDS).items()}
    except ValueError:
        return {}
