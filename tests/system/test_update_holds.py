# SPDX-License-Identifier: MIT
"""What holds a new image back, what goes with it, and what people do by hand beside the agent."""
# pylint: disable=redefined-outer-name,unused-import
import concurrent.futures
import os
import time

from tests.lab.box import documents
from tests.lab.two_service_box import DB, WEB
from tests.lab.util import wait_until
from tests.system.shop import shop, stock

LABEL = "com.centurylinklabs.watchtower"


def labels(**values):
    lines = "".join(f"      {name if '.' in name else f'{LABEL}.{name}'}: {value!r}\n" for name, value in values.items())
    return f"    labels:\n{lines}"


def web_with(stock, **values):
    """The same stack, with labels on the service web."""
    stock.restock(web=labels(**{k.replace("_", "-"): v for k, v in values.items()}))


def runs_of(stock, hook):
    return stock.box.log().count(f"running its {hook} hook")


def hooks(**commands):
    return {f"{LABEL}.lifecycle.{k.replace('_', '-')}": v for k, v in commands.items()}


def test_hooks_run_around_the_update_in_the_right_container(stock):
    said = {"pre_check": "check", "pre_update": "before", "post_update": "after", "post_check": "checked"}
    commands = {hook: f"echo {word} $$APP_VERSION >> /data/log" for hook, word in said.items()}
    stock.restock(web=labels(**hooks(**commands)) + "    volumes: ['kept:/data']\n", more="volumes: {kept: {}}\n")
    old, new = stock.version_of("web"), stock.news()
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done", results
    log = stock.lab.podman("exec", "secbox_web_1", "cat", "/data/log").stdout.split("\n")
    assert log[-5:-1] == [f"check {old}", f"before {old}", f"after {new}", f"checked {new}"], log


def test_a_hook_says_not_now(stock):
    stock.restock(web=labels(**hooks(pre_update="exit 75")))
    before = stock.box.ids()
    stock.news()
    results, updates = stock.take()
    assert (results["web"]["outcome"], results["web"]["status"], results["web"]["error"]["id"]) == ("failed", 503, "update.not-now")
    assert stock.entry(updates)["error"]["id"] == "update.not-now" and "retryAt" in stock.entry(updates)
    assert stock.box.ids() == before
    assert results["web"]["id"] not in [e.get("id") for e in stock.box.history()["entries"]], "that is no news for the history"

    stock.restock(web=labels(**hooks(pre_check="exit 75")))
    stock.news()
    results, _ = stock.take()
    assert not results and "not now to be updated" in stock.box.log()
    results, _ = stock.take("--force")
    assert results["web"]["outcome"] == "done"


def test_a_hook_that_fails_afterwards_takes_the_update_back(stock):
    stock.restock(web=labels(**hooks(post_update=f"test $$APP_VERSION = {stock.version_of('web')}")))
    before = stock.box.ids()
    stock.news()
    results, updates = stock.take()
    assert (results["web"]["outcome"], results["web"]["error"]["id"]) == ("rolled-back", "update.hook"), results
    assert stock.box.ids() == before and updates["failed"][0]["error"]["id"] == "update.hook"


def test_monitor_only_and_enable(stock):
    web_with(stock, monitor_only="true")
    before = stock.box.ids()
    stock.news()
    stock.restart("--poll-interval=1")
    entry = wait_until(lambda: next((e for e in stock.updates()["services"] if e.get("held") == "monitor-only"), None),
                       "it is told", stock.box.agent.death)
    assert entry["state"] == "new" and stock.box.ids() == before
    stock.restart()
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done", "who asks for it gets it"

    web_with(stock, enable="false")
    stock.news()
    results, updates = stock.take()
    assert not results and stock.entry(updates)["source"] == "no" and "labels" in stock.entry(updates)["why"]
    web_with(stock, enable="perhaps")
    assert "must be true or false" in stock.entry(stock.updates())["why"]


def test_u21_a_pull_by_hand_does_not_replace_what_only_news_are_wanted_of(stock):
    web_with(stock, monitor_only="true")
    before = stock.box.ids()
    stock.news()
    stock.lab.podman("pull", "-q", "--tls-verify=false", stock.web)
    stock.restart()  # one that has seen much of late looks less often
    by_hand(stock, "restart", "db")  # so that the agent looks
    entry = wait_until(lambda: next((e for e in stock.updates()["services"] if e.get("byHand")), None), "it is noticed",
                       stock.box.agent.death)
    assert (entry["service"], entry.get("held")) == ("web", "monitor-only") and stock.box.ids() == before
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done", "who asks for it gets it"


def test_u22_a_pull_of_all_is_no_order(stock):
    """Whoever types podman-compose pull without a service, or has a script that does, has named none."""
    stock.restart()  # one that has seen much of late looks less often
    log = len(stock.box.log())
    by_hand(stock, "restart", "db")
    wait_until(lambda: "Service db was started again" in stock.box.log()[log:], "it knows the names", stock.box.agent.death)
    before = stock.box.ids()
    stock.news()
    stock.registry.push("localhost/server:2", DB, "15")
    try:
        stock.box.agent.stop()  # or it might look between the two
        for image in (stock.web, stock.db):
            stock.lab.podman("pull", "-q", "--tls-verify=false", image)
        log = len(stock.box.log())
        stock.box.start_agent()
        by_hand(stock, "restart", "db")  # so that the agent looks
        wait_until(lambda: "that is no order to use them" in stock.box.log()[log:], "it is noticed", stock.box.agent.death)
        assert not any(e.get("byHand") for e in stock.updates()["services"]) and stock.box.ids() == before
    finally:
        stock.registry.push("localhost/server:1", DB, "15")
        stock.lab.podman("pull", "-q", "--tls-verify=false", stock.db)


def test_u14_an_image_is_taken_back_on_the_box(stock):
    old, new = stock.version_of("web"), stock.news()
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done" and stock.version_of("web") == new
    db = stock.box.ids()["db"]

    def undo():
        result = stock.ctl("update", "--undo", "web")[-1]
        assert (result["type"], result["outcome"]) == ("compose.result", "done"), result
        assert result["updates"][0]["undo"] is True and stock.box.ids()["db"] == db

    undo()
    assert stock.version_of("web") == old
    assert stock.lab.image_id(stock.web) == stock.box.containers()["web"]["Image"], "its name means what runs"
    results, updates = stock.take("web")
    assert stock.version_of("web") == old and updates["failed"][0]["error"]["id"] == "update.undone", (results, updates)
    undo()  # and that, too
    assert stock.version_of("web") == new
    stock.ctl("update", "--forget", "all")
    for args in (["--undo"], ["--undo", "web", "db"], ["--undo", "--force", "web"]):
        assert stock.box.ctl("update", *args).returncode == 2
    assert "update.no-service" in stock.box.ctl("update", "--undo", "nothing").stderr
    # another release of it is no image that was taken for it: the file would name what does not run
    pushed = stock.box.apply(stock.compose().replace(stock.web, stock.web.replace(":latest", f":server-{old}")))
    assert pushed["outcome"] == "done" and stock.version_of("web") == old, pushed
    refused = stock.ctl("update", "--undo", "web")[-1]
    assert refused["error"]["id"] == "update.no-previous" and "secboxctl rollback" in refused["error"]["message"], refused
    assert stock.version_of("web") == old


def test_windows_and_bad_settings(stock):
    before = stock.box.ids()
    closed = "-".join(time.strftime("%H:%M", time.localtime(time.time() + hours * 3600)) for hours in (2, 3))
    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_WINDOW": closed})
    new = stock.news()
    stock.restart("--poll-interval=1")
    wait_until(lambda: stock.entry(stock.updates()).get("held") == "window", "it waits for its window", stock.box.agent.death)
    updates = stock.updates()
    assert not updates["windowOpen"] and updates["windowOpensAt"] > updates["lastCheckAt"]
    assert stock.box.ids() == before

    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_WINDOW": "2 to 5"})
    error = wait_until(lambda: stock.updates().get("error"), "a bad value is told", stock.box.agent.death)
    assert error["id"] == "env.bad-value" and "UPDATE_WINDOW" in error["message"]
    assert stock.box.ids() == before, "and nothing is guessed"
    assert "UPDATE_WINDOW" in stock.box.ctl("updates").stdout

    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_WINDOW": "00:00-24:00"})
    assert "error" not in stock.updates()
    stock.wait_taken(new)
    stock.restart()


def test_too_young(stock):
    before = stock.box.ids()
    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_COOL_DOWN": "1h"})
    new = stock.news()
    stock.restart("--poll-interval=1")
    error = wait_until(lambda: stock.entry(stock.updates()).get("error"), "it is seen to be young", stock.box.agent.death)
    assert error["id"] == "update.too-young" and stock.box.ids() == before
    old = f"FROM localhost/server:{new}\nLABEL org.opencontainers.image.created=2020-01-01T00:00:00Z\n"
    stock.lab.podman("build", "-q", "-t", "localhost/old:1", "-f", "-", stock.lab.empty_dir, input=old.encode())
    stock.registry.push("localhost/old:1", WEB, "latest")
    stock.wait_taken(new)
    stock.restart()


def test_the_lock_names_its_holder(stock):
    before = stock.box.ids()
    assert stock.ctl("update", "--lock", "replacing a camera")[-1]["lock"].endswith(": replacing a camera")
    again = stock.box.ctl("update", "--lock", "mine")
    assert again.returncode == 1 and "replacing a camera" in again.stderr
    stock.news()
    results, updates = stock.take()
    assert (results["web"]["status"], results["web"]["error"]["id"]) == (423, "update.locked")
    assert "replacing a camera" in results["web"]["error"]["message"] and "replacing a camera" in updates["lock"]
    assert stock.box.ids() == before
    assert "lock" not in stock.ctl("update", "--unlock")[-1]
    stock.box.write("run/tucomunidad/update-lock", "backup job\n")
    assert stock.updates()["lock"] == "backup job"
    os.unlink(stock.box.path("run/tucomunidad/update-lock"))
    results, _ = stock.take()
    assert results["web"]["outcome"] == "done"
    stock.ctl("update", "--lock", "mine")
    now = stock.box.ids()
    undone = stock.ctl("update", "--undo", "web")[-1]
    assert (undone["status"], undone["error"]["id"]) == (423, "update.locked") and stock.box.ids() == now
    stock.ctl("update", "--unlock")


def test_what_depends_on_it_is_made_anew_behind_it(stock):
    stock.restock(db=labels(**{"depends-on": "web"}))
    before = stock.box.ids()
    stock.news()
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done"
    assert [u["service"] for u in results["web"]["updates"]] == ["web"]
    after = {name: c["State"]["StartedAt"] for name, c in stock.box.containers().items()}
    assert stock.box.ids()["db"] != before["db"] and stock.box.environment("db")["APP_VERSION"] == "1"
    assert after["web"] < after["db"], "in order"


def test_two_images_one_after_the_other(stock):
    """One that is bad does not take the other one with it."""
    before = stock.box.ids()
    new = stock.news()
    stock.registry.push("localhost/crash:1", DB, "15")
    results, _ = stock.take()
    assert (results["web"]["outcome"], results["db"]["outcome"]) == ("done", "rolled-back")
    assert stock.version_of("web") == new and stock.box.ids()["db"] == before["db"] and stock.box.running() == {"web", "db"}
    stock.registry.push("localhost/server:1", DB, "15")


def test_a_local_image_counts_by_what_its_name_means(stock):
    stock.lab.podman("tag", "localhost/server:1", "localhost/mine:1")
    text = stock.compose() + "  mine:\n    image: localhost/mine:1\n" + labels(**{"io.containers.autoupdate": "local"})
    assert stock.box.apply(text)["outcome"] == "done"
    before = stock.box.ids()
    for image, outcome in (("server:2", "done"), ("crash:1", "rolled-back")):
        stock.lab.podman("tag", f"localhost/{image}", "localhost/mine:1")
        stock.take("mine")  # unless the box has noticed it already
        last = stock.box.history()["entries"][0]
        assert (last["outcome"], last["updates"][0]["service"]) == (outcome, "mine"), last
        assert stock.version_of("mine") == "2"
    assert stock.lab.image_id("localhost/mine:1") == stock.box.containers()["mine"]["Image"], "the name means what runs again"
    assert stock.box.ids()["web"] == before["web"]


def by_hand(stock, *args):
    """podman-compose as somebody types it on the box."""
    folder = stock.box.path("var/lib/tucomunidad/compose/secbox")
    run = stock.lab.compose(folder, *args)
    assert run.code == 0, run
    return run


def test_typed_by_hand(stock):
    """`pull && up -d` and `restart` work beside the agent, which notices and goes on from there."""
    stock.restart()  # one that has seen much of late looks less often
    before, log = stock.box.ids(), len(stock.box.log())
    by_hand(stock, "restart", "db")
    wait_until(lambda: "Service db was started again" in stock.box.log()[log:], "the restart is noticed", stock.box.agent.death)
    assert stock.box.ids() == before
    same = stock.box.apply(stock.compose())
    assert same["noop"] and same["seconds"] == 0, "the agent knows the new process"

    new = stock.news()
    by_hand(stock, "pull", *([] if stock.lab.compose_version == "1.0.3" else ["web"]))  # 1.0.3 only knows all of them
    by_hand(stock, "up", "-d", "web")
    stock.wait_taken(new)
    current = stock.box.containers()
    assert current["db"]["Id"] == before["db"] and stock.box.running() == {"web", "db"}
    assert stock.box.apply(stock.compose())["noop"], "a push of the same file leaves it alone"


def test_a_container_made_anew_by_hand(stock):
    stock.restart()  # one that has seen much of late looks less often
    log = len(stock.box.log())
    stock.lab.podman("rm", "-f", "-t", "0", "secbox_web_1")
    by_hand(stock, "up", "-d", "web")
    made = stock.box.ids()["web"]
    wait_until(lambda: "service web was made anew by hand" in stock.box.log()[log:], "it is noticed", stock.box.agent.death)
    stock.news()
    results, _ = stock.take("web")
    assert results["web"]["outcome"] == "done" and stock.box.ids()["web"] != made


def test_stopped_by_hand_it_stays_stopped(stock):
    stock.lab.podman("stop", "-t", "0", "secbox_web_1")
    stock.news()
    results, updates = stock.take()
    assert not results and stock.entry(updates)["state"] == "new"
    assert stock.box.running() == {"db"} and "its container does not run" in stock.box.log()
    stock.lab.podman("start", "secbox_web_1")


def test_u06_u07_what_ended_by_itself_gets_the_new_image(stock):
    """A job that ran when it was deployed and has ended since, and a service that has crashed."""
    script = "until test -e /tmp/end; do sleep 0.1; done; exit $$(cat /tmp/end)"
    job = f"    image: {stock.web}\n    restart: 'no'\n    command: [sh, -c, '{script}']\n"
    assert stock.box.apply(stock.compose(more=f"  ends:\n{job}  crashes:\n{job}"))["outcome"] == "done"
    stock.restart()  # one that has seen much of late looks less often
    for service, code in (("ends", "0"), ("crashes", "3")):
        stock.lab.podman("exec", f"secbox_{service}_1", "sh", "-c", f"echo {code} > /tmp/end-; mv /tmp/end- /tmp/end")
    wait_until(lambda: {s["name"]: s["state"] for s in stock.box.status()["watched"]}.items() >=
               {"ends": "ended", "crashes": "down"}.items(), "both have ended", stock.box.agent.death)
    new = stock.news()
    results, _ = stock.take()
    assert {results[s]["outcome"] for s in ("web", "ends", "crashes")} == {"done"}, results
    assert stock.box.running() == {"web", "db", "ends", "crashes"} and stock.version_of("crashes") == new


def test_u08_what_is_never_to_be_pulled_is_not(stock):
    text = stock.compose(more=f"  carried:\n    image: {stock.web}\n    pull_policy: never\n")
    assert stock.box.apply(text)["outcome"] == "done"
    before = stock.box.ids()
    stock.news()
    results, updates = stock.take()
    assert set(results) == {"web"} and results["web"]["outcome"] == "done"
    assert stock.entry(updates, "carried")["why"] == "its pull_policy is never"
    assert stock.box.ids()["carried"] == before["carried"]
    assert "not watched: its pull_policy is never" in stock.box.ctl("updates").stdout


def test_u10_the_window_counts_for_each_update(stock):
    """It closes while the first one is under way."""
    wait = labels(**hooks(pre_update="until test -e /tmp/go; do sleep 0.1; done"))
    stock.restock(web=wait, db=wait)
    before = stock.box.ids()
    stock.news()
    stock.registry.push(f"localhost/server:{'2' if stock.version_of('db') == '1' else '1'}", DB, "15")
    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_WINDOW": "00:00-24:00"})
    hooked = runs_of(stock, "pre-update")
    stock.restart("--poll-interval=1")
    wait_until(lambda: runs_of(stock, "pre-update") > hooked, "one is under way", stock.box.agent.death)
    closed = "-".join(time.strftime("%H:%M", time.localtime(time.time() + hours * 3600)) for hours in (2, 3))
    stock.box.write_env("mgmt-agent.env", {**stock.box.agent_env, "UPDATE_WINDOW": closed})
    for service in ("web", "db"):
        stock.lab.podman("exec", f"secbox_{service}_1", "touch", "/tmp/go")
    wait_until(lambda: [e["state"] for e in stock.updates()["services"]].count("new") == 1, "one is taken", stock.box.agent.death)
    wait_until(lambda: not stock.box.status_pending(), "it is kept", stock.box.agent.death)
    after, held = stock.box.ids(), [e for e in stock.updates()["services"] if e.get("held") == "window"]
    assert len(held) == 1 and [s for s in before if after[s] == before[s]] == [held[0]["service"]]
    stock.restart()
    stock.registry.push("localhost/server:1", DB, "15")


def test_u19_one_image_fails_in_one_service_alone(stock):
    old = stock.version_of("web")
    picky = f"  picky:\n    image: {stock.web}\n    command: [sh, -c, 'test $$APP_VERSION = {old} && exec /bin/lab-server']\n"
    assert stock.box.apply(stock.compose(more=picky))["outcome"] == "done"
    before = stock.box.ids()
    new = stock.news()
    results, updates = stock.take()
    assert results["web"]["outcome"] == results["picky"]["outcome"] == "rolled-back" and stock.box.ids() == before
    assert [f["service"] for f in updates["failed"]] == ["picky"]
    results, updates = stock.take()
    assert set(results) == {"web"} and results["web"]["outcome"] == "done", results
    assert stock.version_of("web") == new and stock.entry(updates, "picky")["held"] == "failed-before"


def test_v03_an_edited_environment_waits_for_a_push(stock):
    file = {"DEVICE_ID": stock.box.agent_env["DEVICE_ID"], **stock.box.secbox_env()}
    colour = "      COLOUR: ${COLOUR:-red}\n"
    stock.restock(web=colour)
    stock.box.write_env("secbox.env", {**file, "COLOUR": "blue"})
    new = stock.news()
    results, _ = stock.take()
    assert results["web"]["outcome"] == "done" and stock.version_of("web") == new
    assert stock.box.environment("web")["COLOUR"] == "red" and "waits for the next" in stock.box.log()
    stock.apply(web=colour)
    assert stock.box.environment("web")["COLOUR"] == "blue"
    stock.box.write_env("secbox.env", file)


def test_u13_data_without_a_name_is_told_of(stock):
    """podman makes a new, empty volume for each container."""
    text = "FROM localhost/server:1\nVOLUME /data /kept /short/\n"
    stock.lab.podman("build", "-q", "-t", "localhost/stateful:1", "-f", "-", stock.lab.empty_dir, input=text.encode())
    service = ("  stateful:\n    image: localhost/stateful:1\n    tmpfs: [/short]\n    volumes: ['kept:/kept']\n"
               "volumes:\n  kept:\n")
    told = [e["message"] for e in documents(stock.box.ctl("apply", stock.box.compose_path(stock.compose(more=service)), "--json"))
            if "without a name" in e.get("message", "")]
    assert len(told) == 1 and "its image keeps /data in a volume" in told[0] and "stateful-data:/data" in told[0], told


def test_v01_an_image_is_not_blamed_for_another_service(stock):
    """Somebody stops another one while the image is proved."""
    stock.restock(web=labels(**hooks(post_update="until test -e /tmp/go; do sleep 0.1; done")), db="    restart: always\n")
    stock.news()
    hooked = runs_of(stock, "post-update")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        asked = pool.submit(stock.take, "web")
        wait_until(lambda: runs_of(stock, "post-update") > hooked, "it is about to be proved", stock.box.agent.death)
        stock.lab.podman("stop", "-t", "0", "secbox_db_1")
        stock.lab.podman("exec", "secbox_web_1", "touch", "/tmp/go")
        asked.result()
    last = stock.box.history()["entries"][0]
    assert (last["outcome"], last["error"]["id"]) == ("rolled-back", "prove.not-running")
    assert not stock.updates()["failed"]
    stock.lab.podman("start", "secbox_db_1")


def test_a_prune_takes_neither_what_runs_nor_what_ran_last(stock):
    old = stock.box.containers()["web"]["Image"]
    stock.news()
    assert stock.take("web")[0]["web"]["outcome"] == "done"
    new = stock.box.containers()["web"]["Image"]
    stock.lab.podman("rmi", "localhost/server:1", "localhost/server:2")
    stock.lab.podman("image", "prune", "-f")
    there = set(stock.lab.podman("images", "-a", "--no-trunc", "--format", "{{.Id}}").stdout.split())
    assert {old, new} <= {image.removeprefix("sha256:") for image in there}
    for version in "12":
        stock.lab.image(f"localhost/server:{version}", "server", version)
