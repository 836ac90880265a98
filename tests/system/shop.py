# SPDX-License-Identifier: MIT
"""A TwoServiceBox with its registry, as the tests of updates have it."""
# pylint: disable=redefined-outer-name
import contextlib

import pytest

from tests.conftest import require_programs
from tests.lab.registry import Registry
from tests.lab.registry_proxy import RegistryProxy
from tests.lab.two_service_box import TwoServiceBox


@contextlib.contextmanager
def opened(lab, folder, front=False, **more):
    """Its agent does not run yet. With a front, the box knows the registry only through `it.front`."""
    require_programs("mgmt-agent", "secboxctl")
    with contextlib.ExitStack() as stack:
        registry = stack.enter_context(Registry(lab))
        proxy = stack.enter_context(RegistryProxy(lab, registry.port)) if front else None
        it = TwoServiceBox(lab, registry, folder, proxy, **more)
        it.front = proxy
        with it.box:
            yield it
        lab.remove_all()


@pytest.fixture(scope="module")
def shop(lab, tmp_path_factory):
    """Nothing is proved for long."""
    with opened(lab, str(tmp_path_factory.mktemp("shop")), args=["--settle=1"]) as it:
        it.box.start_agent()
        yield it


@pytest.fixture
def stock(shop):
    """Both services run, and the registry has nothing newer."""
    shop.restock()
    yield shop
    shop.box.write_env("mgmt-agent.env", shop.box.agent_env)
