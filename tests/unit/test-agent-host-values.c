/* SPDX-License-Identifier: MIT */
/* What the kernel, smartctl and podman say of a machine, and which of it is a fault. */
#include "tests/unit/agent-root.h"

#include <errno.h>
#include <math.h>

#include "mgmt-agent/health/container-values.h"
#include "mgmt-agent/health/host-faults.h"
#include "mgmt-agent/health/host-values.h"
#include "mgmt-agent/health/proc-values.h"
#include "mgmt-agent/health/smart.h"
#include "mgmt-agent/worker/podman/podman-answer.h"

static void test_memory(void **state)
{
    MemoryValues m = {};

    (void) state;
    assert_int_equal(
        meminfo_parse("MemTotal:        8039204 kB\nMemFree:          225912 kB\nMemAvailable:    5243128 kB\n"
                      "SwapCached:            0 kB\nSwapTotal:       1048572 kB\nSwapFree:        1000000 kB\n",
                      &m),
        0);
    assert_int_equal(m.total_kib, 8039204);
    assert_int_equal(m.available_kib, 5243128);
    assert_int_equal(m.swap_total_kib, 1048572);
    assert_int_equal(m.swap_free_kib, 1000000);
    assert_int_equal(meminfo_parse("MemTotal: 10 kB\nMemAvailable: 11 kB\n", &m), -EINVAL);
    assert_int_equal(meminfo_parse("MemTotal: 0 kB\nMemAvailable: 0 kB\n", &m), -EINVAL);
    assert_int_equal(meminfo_parse("MemTotal: 10 kB\n", &m), -EINVAL);
    assert_int_equal(meminfo_parse("", &m), -EINVAL);
    assert_int_equal(m.total_kib, 8039204);
}

static void test_pressure_and_load(void **state)
{
    PressureValues p = {};
    LoadValues l = {};

    (void) state;
    assert_int_equal(pressure_parse("some avg10=1.53 avg60=0.80 avg300=0.21 total=1234\n"
                                    "full avg10=0.25 avg60=0.00 avg300=0.00 total=99\n",
                                    &p),
                     0);
    assert_true(fabs(p.some10 - 1.53) < 1e-6 && fabs(p.full10 - 0.25) < 1e-6);
    assert_int_equal(pressure_parse("some avg10=2.00 avg60=0 avg300=0 total=1\n", &p), 0);
    assert_true(p.full10 < 1e-6);
    assert_int_equal(pressure_parse("some avg10=nan avg60=0 avg300=0 total=1\n", &p), -EINVAL);
    assert_int_equal(pressure_parse("some avg10=101 avg60=0 avg300=0 total=1\n", &p), -EINVAL);
    assert_int_equal(pressure_parse("full avg10=1\n", &p), -EINVAL);
    assert_int_equal(loadavg_parse("0.42 0.31 0.20 2/345 6789\n", &l), 0);
    assert_true(fabs(l.one - 0.42) < 1e-6 && fabs(l.five - 0.31) < 1e-6 && fabs(l.fifteen - 0.2) < 1e-6);
    assert_int_equal(loadavg_parse("0.42 0.31", &l), -EINVAL);
    assert_int_equal(loadavg_parse("-1 0 0", &l), -EINVAL);
}

static void test_processors(void **state)
{
    CpuTicks a = {}, b = {};

    (void) state;
    assert_int_equal(cpu_ticks_parse("cpu  100 0 50 800 50 0 0 0 0 0\ncpu0 50 0 25 400 25 0 0 0 0 0\n"
                                     "cpu1 50 0 25 400 25 0 0 0 0 0\nintr 1 2 3\n",
                                     &a),
                     0);
    assert_int_equal(a.count, 2);
    assert_int_equal(a.total, 1000);
    assert_int_equal(a.busy, 150);
    assert_int_equal(cpu_ticks_parse("cpu  150 0 50 850 50 0 0 0 0 0\ncpu0 1\ncpu1 1\n", &b), 0);
    assert_true(fabs(cpu_percent(&a, &b) - 50) < 1e-6);
    assert_true(cpu_percent(&b, &a) < 0);
    assert_true(cpu_percent(&(CpuTicks) {}, &b) < 0);
    assert_int_equal(cpu_ticks_parse("cpu0 1 2 3 4\n", &a), -EINVAL);
    assert_int_equal(cpu_ticks_parse("cpu  -100 0 50 800 50\n", &a), -EINVAL);
}

#define MOUNTS                                                                                                         \
    "22 1 254:1 / /run/systemd/deep ro,nosuid - ext4 /dev/vda1 rw,errors=remount-ro\n"                                 \
    "23 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw,errors=remount-ro\n"                                      \
    "24 23 0:21 / /proc rw - proc proc rw\n"                                                                           \
    "25 23 254:15 / /boot/efi rw - vfat /dev/vda15 ro,fmask=0022\n"                                                    \
    "26 23 8:1 / /mnt/my\\040disk rw shared:4 master:2 - xfs /dev/sda1 rw\n"                                           \
    "27 23 7:0 / /snap/x ro - squashfs /dev/loop0 ro\n"                                                                \
    "28 23 0:50 /@a /data rw - btrfs /dev/sdb1 rw\n"                                                                   \
    "29 23 0:51 /@b /d rw - btrfs /dev/sdb1 rw\n"                                                                      \
    "30 23 0:60 / /run rw - tmpfs tmpfs rw\n"                                                                          \
    "32 23 8:17 / /mnt/usb rw - fuseblk /dev/sdb2 rw\n"                                                                \
    "nonsense\n31 23 x:y / /z rw - ext4 /dev/sdz rw\n"

static void test_mounts(void **state)
{
    Filesystems f = {};

    (void) state;
    assert_int_equal(mountinfo_parse(MOUNTS, &f), 0);
    assert_int_equal(f.n, 4);
    assert_string_equal(f.items[0].mount, "/");
    assert_string_equal(f.items[0].type, "ext4");
    assert_false(f.items[0].read_only);
    assert_string_equal(f.items[1].mount, "/boot/efi");
    assert_true(f.items[1].read_only);
    assert_string_equal(f.items[2].mount, "/mnt/my disk");
    assert_string_equal(f.items[3].mount, "/d");
    filesystems_done(&f);
    assert_int_equal(mountinfo_parse("1 0 0:30 / / rw - overlay overlay rw,lowerdir=a\n", &f), 0);
    assert_int_equal(f.n, 1);
    filesystems_done(&f);
    assert_int_equal(mountinfo_parse("", &f), 0);
    assert_int_equal(f.n, 0);
}

#define NET                                                                                                            \
    "Inter-|   Receive                                                |  Transmit\n"                                   \
    " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier " \
    "compressed\n"                                                                                                     \
    "    lo: 5000000 10 1 1 0 0 0 0 5000000 10 1 1 0 0 0 0\n"                                                          \
    "enp3s0:3145728 10    2    3    0     0          0         0 2097152    7    4    5    0     0       0          "  \
    "0\n"                                                                                                              \
    "wlan0: 1048576 10 0 0 0 0 0 0 1048576 10 0 0 0 0 0 0\n"                                                           \
    "podman0: 9999999 10 7 7 0 0 0 0 9999999 10 7 7 0 0 0 0\n"

static void test_network(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    NetworkValues c = {};

    (void) state;
    assert_int_equal(network_values_parse(NET, true, &c), 0);
    assert_int_equal(c.received, 4194304);
    assert_int_equal(c.sent, 3145728);
    assert_int_equal(c.errors, 14);
    assert_int_equal(network_values_describe(&c, o, "network"), 0);
    _cleanup_(freep) char *text = json_print(o);
    assert_string_equal(text, "{\"network\":{\"receivedMiB\":4,\"sentMiB\":3,\"errors\":14}}");
    assert_int_equal(network_values_parse(NET, false, &c), 0);
    assert_int_equal(c.errors, 42);
    assert_int_equal(network_values_parse("lo: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n", false, &c), -EINVAL);
    assert_int_equal(network_values_parse("eth0: 1 2 3\nx", false, &c), -EINVAL);
    assert_int_equal(network_values_parse("", false, &c), -EINVAL);
    assert_int_equal(c.errors, 42);
}

static void check_group(const char *text, const char *want)
{
    char *group = NULL;
    int r = container_group_parse(text, "abc123", &group);

    if (want)
        assert_string_equal(group, want);
    else
        assert_int_equal(r, -ENOENT);
    free(group);
}

static void test_control_groups(void **state)
{
    (void) state;
    check_group("0::/machine.slice/libpod-abc123.scope/container\n", "machine.slice/libpod-abc123.scope");
    check_group("1:name=systemd:/x\n0::/machine.slice/libpod-abc123.scope\n", "machine.slice/libpod-abc123.scope");
    check_group("0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-abc123.scope/container/init.scope",
                "user.slice/user-1000.slice/user@1000.service/user.slice/libpod-abc123.scope");
    check_group("0::/libpod_parent/libpod-abc123\n", "libpod_parent/libpod-abc123");
    check_group("0::/x.service/libpod-payload-abc123\n", "x.service/libpod-payload-abc123");
    /* another container's, conmon's, the one that started it, one of cgroup v1, nothing */
    check_group("0::/machine.slice/libpod-def456.scope\n", NULL);
    check_group("0::/machine.slice/libpod-conmon-abc123.scope\n", NULL);
    check_group("0::/system.slice/mgmt-agent.service\n", NULL);
    check_group("4:memory:/machine.slice/libpod-abc123.scope\n0::/\n", NULL);
    check_group("", NULL);
}

static void write_in(const char *folder, const char *name, const char *text)
{
    _cleanup_(freep) char *path = path_join(folder, name);

    assert_int_equal(file_write_atomic(path, text, strlen(text), 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
}

/* The files are the kernel's in form; podman's own groups are read where a machine has cgroup v2. */
static void test_what_a_container_uses(void **state)
{
    _cleanup_(freep) char *proc = path_in_root("/p"), *of_process = path_in_root("/p/77"), *groups = path_in_root("/g"),
                          *group = path_in_root("/g/machine.slice/libpod-abc123.scope");
    ContainerValues a = {}, b = {};

    (void) state;
    assert_int_equal(dir_make(of_process, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(dir_make(group, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    write_in(of_process, "cgroup", "0::/machine.slice/libpod-abc123.scope/container\n");
    assert_int_equal(container_values_read(proc, groups, 77, "abc123", 1, &a), -ENOENT);
    write_in(group, "cpu.stat", "usage_usec 1000000\nuser_usec 1\nsystem_usec 2\n");
    write_in(group, "memory.current", "43000832\n");
    assert_int_equal(container_values_read(proc, groups, 77, "abc123", USEC_PER_MINUTE, &a), 0);
    assert_int_equal(a.memory_kib, 41993);
    assert_true(container_cpu_percent(&b, &a) < 0);
    write_in(group, "cpu.stat", "usage_usec 4000000\n");
    assert_int_equal(container_values_read(proc, groups, 77, "abc123", 2 * USEC_PER_MINUTE, &b), 0);
    assert_true(fabs(container_cpu_percent(&a, &b) - 5) < 1e-6);
    assert_true(container_cpu_percent(&b, &a) < 0);
    write_in(group, "cpu.stat", "nonsense\n");
    assert_int_equal(container_values_read(proc, groups, 77, "abc123", 1, &b), -ENOENT);
    assert_int_equal(container_values_read(proc, groups, 77, "def456", 1, &b), -ENOENT);
    assert_int_equal(container_values_read(proc, groups, 0, "abc123", 1, &b), -ENOENT);
    assert_int_equal(b.cpu_usec, 4000000);
}

/* This machine has a memory, processors and a root; what a sensor says is read from files that this test writes. */
static void test_a_machine(void **state)
{
    _cleanup_(freep) char *zone = path_in_root("/sys/class/thermal/thermal_zone3"), *sys = path_in_root("/sys"),
                          *run = path_in_root("/run"), *mark = path_in_root("/run/reboot-required");
    _cleanup_(freep) char *temp = path_join(zone, "temp"), *type = path_join(zone, "type");
    _cleanup_(cJSON_Deletep) cJSON *o = cJSON_CreateObject();
    HostValues v;

    (void) state;
    assert_int_equal(dir_make(zone, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(dir_make(run, 0755, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(temp, "48250\n", 6, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(type, "x86_pkg_temp\n", 13, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    assert_int_equal(file_write_atomic(mark, "", 0, 0644, (uid_t) -1, (gid_t) -1, NULL), 0);
    host_values_read("/proc", sys, run, &v);
    assert_true(v.memory.total_kib > 0 && v.memory.available_kib <= v.memory.total_kib);
    assert_true(v.has_load && v.cpu.count > 0 && v.cpu.total > v.cpu.busy);
    assert_true(v.n_disks > 0 && v.disks[0].total_kib >= v.disks[0].free_kib);
    assert_true(v.reboot_required);
    assert_int_equal(host_values_describe(&v, &(CpuTicks) {}, o), 0);
    host_values_done(&v);
    const cJSON *zones = cJSON_GetObjectItemCaseSensitive(o, "temperatures");
    const cJSON *one = cJSON_GetObjectItemCaseSensitive(zones, "thermal_zone3 x86_pkg_temp");
    assert_true(cJSON_IsNumber(one) && fabs(one->valuedouble - 48.3) < 0.051);
    assert_true(json_bool(o, "rebootRequired", false));
    assert_null(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(o, "cpu"), "percent"));

    host_values_read("/nowhere", "/nowhere", "/nowhere", &v);
    assert_true(v.memory.total_kib == 0 && !v.has_load && v.n_disks == 0 && !v.reboot_required);
    host_values_done(&v);
}

/* The faults' names, in order, with a space between. */
static void check_faults(const char *values, const char *before, const char *want)
{
    _cleanup_(cJSON_Deletep) cJSON *v = json_of(values), *b = before ? json_of(before) : NULL,
                                   *faults = host_faults(v, b);
    char names[512] = "";
    const cJSON *item;

    assert_non_null(faults);
    cJSON_ArrayForEach(item, faults) {
        assert_true(cJSON_IsString(item) && strlen(item->valuestring) > 5);
        assert_true(strlen(names) + strlen(item->string) + 2 < sizeof(names));
        if (*names)
            strncat(names, " ", sizeof(names) - strlen(names) - 1);
        strncat(names, item->string, sizeof(names) - strlen(names) - 1);
    }
    assert_string_equal(names, want);
}

static void test_faults(void **state)
{
    (void) state;
    check_faults("{}", NULL, "");
    check_faults("{\"disks\":{\"/\":{\"usedPercent\":89.9,\"inodesPercent\":1,\"readOnly\":false}}}", NULL, "");
    check_faults("{\"disks\":{\"/\":{\"usedPercent\":90}}}", NULL, "disk.full:/");
    check_faults("{\"disks\":{\"/\":{\"usedPercent\":88}}}", "{\"disk.full:/\":\"x\"}", "disk.full:/");
    check_faults("{\"disks\":{\"/\":{\"usedPercent\":86.9}}}", "{\"disk.full:/\":\"x\"}", "");
    check_faults("{\"disks\":{\"/a\":{\"usedPercent\":1,\"inodesPercent\":97,\"readOnly\":true}}}", NULL,
                 "disk.inodes:/a disk.read-only:/a");
    check_faults("{\"disks\":{\"/boot/efi\":{\"usedPercent\":1,\"readOnly\":true,\"type\":\"vfat\"}}}", NULL, "");
    check_faults("{\"memory\":{\"totalMiB\":1000,\"availableMiB\":40}}", NULL, "memory.low");
    check_faults("{\"memory\":{\"totalMiB\":1000,\"availableMiB\":70}}", NULL, "");
    check_faults("{\"memory\":{\"totalMiB\":1000,\"availableMiB\":70}}", "{\"memory.low\":\"x\"}", "memory.low");
    check_faults("{\"pressure\":{\"memoryFull10\":20,\"ioFull10\":60}}", NULL, "memory.stalls disk.stalls");
    check_faults("{\"temperatures\":{\"cpu\":91,\"board\":40,\"odd\":\"x\"}}", NULL, "temperature.high:cpu");
    check_faults("{\"clock\":{\"synchronised\":false}}", NULL, "clock.unsynchronised");
    check_faults("{\"smart\":{\"sda\":{\"passed\":false},\"sdb\":{\"passed\":true},\"sdc\":{}}}", NULL,
                 "smart.failing:sda");
    check_faults(
        "{\"services\":{\"a\":{\"state\":\"down\"},\"b\":{\"state\":\"running\"},\"c\":{\"state\":\"unhealthy\"},"
        "\"d\":{\"state\":\"ended\"},\"e\":{\"state\":\"restarting\"},\"f\":{}}}",
        NULL, "service.down:a service.unhealthy:c service.restarting:e");
    check_faults("{\"services\":{\"a\":{\"state\":\"stopped by hand\"},"
                 "\"b\":{\"state\":\"stopped by hand\",\"forgotten\":true}}}",
                 NULL, "service.stopped:b");
}

static void check_smart(const char *answer, const char *want)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(answer), *got = smart_read(o);
    _cleanup_(freep) char *text = json_print_canonical(got);

    assert_string_equal(text, want);
}

/* Shortened answers of smartctl 7.3 --json. */
static void test_smart(void **state)
{
    (void) state;
    check_smart(
        "{\"smart_status\":{\"passed\":true},\"temperature\":{\"current\":34},\"power_on_time\":{\"hours\":8123},"
        "\"nvme_smart_health_information_log\":{\"percentage_used\":4,\"available_spare\":97,\"media_errors\":0}}",
        "{\"celsius\":34,\"mediaErrors\":0,\"passed\":true,\"powerOnHours\":8123,\"spareMissingPercent\":3,"
        "\"usedPercent\":4}");
    check_smart(
        "{\"smart_status\":{\"passed\":false},\"ata_smart_attributes\":{\"table\":[{\"id\":5,\"raw\":{\"value\":12}},"
        "{\"id\":197,\"raw\":{\"value\":3}},{\"id\":9},{}]}}",
        "{\"passed\":false,\"pendingSectors\":3,\"reallocatedSectors\":12}");
    check_smart("{\"smartctl\":{\"exit_status\":2}}", "{}");
    check_smart("{\"temperature\":{\"current\":-5},\"power_on_time\":7,\"smart_status\":[]}", "{}");
}

static void check_store(const char *answer, const char *want)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of(answer), *got = NULL;

    assert_int_equal(podman_answer_store(o, &got, NULL), 0);
    _cleanup_(freep) char *text = json_print_canonical(got);
    assert_string_equal(text, want);
}

static void test_store(void **state)
{
    _cleanup_(cJSON_Deletep) cJSON *o = json_of("{\"cause\":\"no\"}"), *got = NULL;

    (void) state;
    /* podman 4.3 does not say what all images take together */
    check_store("{\"Images\":[{\"Size\":50331648,\"SharedSize\":10485760,\"UniqueSize\":39845888},"
                "{\"Size\":12582912,\"SharedSize\":10485760,\"UniqueSize\":2097152}],"
                "\"Containers\":[{\"RWSize\":1048576},{\"RWSize\":2097152}],\"Volumes\":[{\"Size\":3145728}]}",
                "{\"imagesMiB\":50,\"volumesMiB\":3,\"writableMiB\":3}");
    check_store("{\"ImagesSize\":1048576,\"Images\":[{\"UniqueSize\":5242880}],\"Containers\":null,\"Volumes\":null}",
                "{\"imagesMiB\":1,\"volumesMiB\":0,\"writableMiB\":0}");
    check_store("{\"Images\":null}", "{\"imagesMiB\":0,\"volumesMiB\":0,\"writableMiB\":0}");
    assert_int_equal(podman_answer_store(o, &got, NULL), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_pressure_and_load),
        cmocka_unit_test(test_processors),
        cmocka_unit_test(test_mounts),
        cmocka_unit_test(test_network),
        cmocka_unit_test(test_control_groups),
        cmocka_unit_test_setup_teardown(test_what_a_container_uses, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_a_machine, agent_root_make, agent_root_remove),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_smart),
        cmocka_unit_test(test_store),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
