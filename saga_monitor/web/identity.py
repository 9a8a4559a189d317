"""Which instance or key an address names."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from choregraphie.saga.envelope import Instance
from choregraphie.saga.saga_set import SagaSet
from saga_monitor.web.filters import LONGEST_ID, known


def requested_instance(request: Request, sagas: SagaSet) -> Instance:
    """The instance that the path names, or the path and the parameter `key`.

    Raises HTTPException when there can be none, and BadRequestError for any other parameter.
    """
    saga = request.path_params["saga"]
    if saga not in sagas.by_name:
        raise HTTPException(404, f"There is no such saga; there are: {', '.join(sagas.by_name)}.")
    return Instance(saga, requested_key(request))


def requested_key(request: Request, *more: str) -> str:
    """The key that the path or the parameter `key` names. Raises as `requested_instance`.

    `more`: the other parameters that the address takes.
    """
    known(request.query_params, more if "key" in request.path_params else ("key", *more))
    key = request.path_params.get("key") or request.query_params.get("key")
    if key is None:
        raise HTTPException(404)
    if not 0 < len(key) <= LONGEST_ID or "\x00" in key or _unstorable(key):
        raise HTTPException(404, "No instance has such a key.")
    return str(key)


def _unstorable(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)
