"""Drives the unmodified Python client of Neon's API through all of its methods. BASE_URL and API_KEY say where."""

import json
import os

from neon_api import NeonAPI
from neon_api.exceptions import NeonAPIError

api = NeonAPI(os.environ["API_KEY"], base_url=os.environ["BASE_URL"] + "/")
called = set()


def call(method, *args, **kwargs):
    """What a method answers, read by the client into its own types."""
    called.add(method)
    return getattr(api, method)(*args, **kwargs)


def refused(code, method, *args, **kwargs):
    """A call that is refused, with its code."""
    try:
        answer = call(method, *args, **kwargs)
    except NeonAPIError as error:
        assert json.loads(str(error))["code"] == code, error
    else:
        raise AssertionError(f"{method} answered {answer}")


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"


def names(items):
    return [item.name for item in items]


def settled(project):
    """Waits until no operation of a project is open any more, as a client does."""
    while True:
        operations = call("operations", project, limit=1000).operations
        if all(operation.status.value in ("finished", "skipped", "cancelled") for operation in operations):
            return operations


def account():
    me = call("me")
    equal(me.login, "casey")
    equal(names(call("api_keys")), ["first key"])
    made = call("api_key_create", key_name="deploy")
    equal(names(call("api_keys")), ["first key", "deploy"])
    equal(NeonAPI(made.key, base_url=api.base_url).me().id, me.id)
    equal(call("api_key_revoke", made.id).revoked, True)
    refused("API_KEY_NOT_FOUND", "api_key_revoke", made.id)


def projects():
    project = call("project_create", project={"name": "shop"}).project
    equal(names(call("projects", limit=10).projects), ["shop"])
    equal(call("projects", shared=True).projects, [])
    equal(call("project", project.id).project.name, "shop")
    equal(call("project_update", project.id, project={"name": "market"}).project.name, "market")
    operations = settled(project.id)
    equal(call("operation", project.id, operations[0].id).operation, operations[0])
    refused("NOT_IMPLEMENTED", "project_permissions", project.id)
    refused("NOT_IMPLEMENTED", "project_permissions_grant", project.id, email="riley@example.com")
    refused("METHOD_NOT_ALLOWED", "project_permissions_revoke", project.id)
    equal(call("project_delete", project.id).project.id, project.id)
    refused("PROJECT_NOT_FOUND", "project", project.id)


def branches():
    project = call("project_create", project={}).project.id
    [main] = call("branches", project).branches
    dev = call("branch_create", project, branch={"name": "dev"}, endpoints=[{"type": "read_write"}]).branch
    equal(sorted(names(call("branches", project, limit=10).branches)), ["dev", "main"])
    equal(call("branch", project, dev.id).branch.parent_id, main.id)
    equal(call("branch_update", project, dev.id, branch={"name": "work"}).branch.name, "work")
    call("branch_set_as_primary", project, dev.id)
    equal(call("branch", project, dev.id).branch.primary, True)
    refused("BRANCH_IS_DEFAULT", "branch_delete", project, dev.id)
    call("branch_set_as_primary", project, main.id)
    settled(project)
    equal(call("branch_delete", project, dev.id).branch.id, dev.id)
    call("project_delete", project)


def roles():
    project = call("project_create", project={}).project.id
    branch = call("branches", project).branches[0].id
    settled(project)
    made = call("role_create", project, branch, "sally")
    equal([operation.action.value for operation in made.operations], ["apply_config", "suspend_compute"])
    assert {"casey", "sally"} <= set(names(call("roles", project, branch).roles))
    equal(call("role", project, branch, "sally").role.name, "sally")
    reset = call("role_password_reset", project, branch, "sally").role.password
    assert reset != made.role.password
    equal(call("role_password_reveal", project, branch, "sally").password, reset)
    refused("ROLE_ALREADY_EXISTS", "role_create", project, branch, "sally")

    call("database_create", project, branch, database={"name": "app", "owner_name": "sally"})
    refused("ROLE_OWNS_DATABASES", "role_delete", project, branch, "sally")
    equal(call("database_update", project, branch, "app", database={"name": "shop"}).database.name, "shop")
    equal(call("database", project, branch, "shop").database.owner_name, "sally")
    equal(names(call("databases", project, branch, limit=10).databases), ["neondb", "shop"])
    uri = call("connection_uri", project, database_name="shop", role_name="sally", pooled=True).uri
    assert uri.startswith(f"postgresql://sally:{reset}@ep-") and "-pooler." in uri, uri
    equal(call("database_delete", project, branch, "shop").database.name, "shop")
    equal(call("role_delete", project, branch, "sally").role.name, "sally")
    call("project_delete", project)


def endpoints():
    project = call("project_create", project={}).project.id
    branch = call("branches", project).branches[0].id
    settled(project)
    made = call("endpoint_create", project, endpoint={"branch_id": branch, "type": "read_only"}).endpoint.id
    settled(project)
    equal(len(call("endpoints", project).endpoints), 2)
    equal(call("endpoint", project, made).endpoint.branch_id, branch)
    changed = call("endpoint_update", project, made, endpoint={"suspend_timeout_seconds": 120})
    equal(changed.endpoint.suspend_timeout_seconds, 120)
    call("endpoint_start", project, made)
    settled(project)
    call("endpoint_suspend", project, made)
    settled(project)
    equal(call("endpoint_delete", project, made).endpoint.id, made)
    call("project_delete", project)


for walk in (account, projects, branches, roles, endpoints):
    walk()

# What makes another client is no call.
methods = {name for name in dir(api) if not name.startswith("_") and callable(getattr(api, name))} - {"from_environ"}
equal(methods - called, set())
print(f"{len(called)} methods")
