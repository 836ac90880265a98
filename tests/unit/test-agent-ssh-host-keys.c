/* SPDX-License-Identifier: MIT */
/* Which keys of this machine's sshd are told. */
#include "tests/unit/agent-root.h"

#include "mgmt-agent/agent/ssh-host-keys.h"

#define ED25519 "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGh"
#define ECDSA "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlz"

static void assert_told(const char *wanted)
{
    _cleanup_(cJSON_Deletep) cJSON *keys = ssh_host_keys_read();
    _cleanup_(freep) char *text = json_print(keys);

    assert_string_equal(text, wanted);
}

static void lay(const char *config, const char *part)
{
    _cleanup_(freep) char *folder = path_in_root("/etc/ssh/sshd_config.d");

    assert_int_equal(dir_make(folder, 0700, (uid_t) -1, (gid_t) -1, NULL), 0);
    agent_root_write("/etc/ssh/sshd_config", config);
    agent_root_write("/etc/ssh/sshd_config.d/50-more.conf", part);
    agent_root_write("/etc/ssh/ssh_host_ed25519_key.pub", ED25519 " root@box\n");
    agent_root_write("/etc/ssh/ssh_host_ecdsa_key.pub", ECDSA "\n");
    agent_root_write("/etc/ssh/mine.pub", "ssh-ed25519 MINE");
}

static void test_the_usual_ones(void **state _unused_)
{
    assert_told("[]");
    lay(NULL, NULL);
    assert_told("[\"" ED25519 "\",\"" ECDSA "\"]");
    lay("Include /etc/ssh/sshd_config.d/*.conf\n#HostKey /etc/ssh/mine\nPort 22\n", "PasswordAuthentication no\n");
    assert_told("[\"" ED25519 "\",\"" ECDSA "\"]");
}

static void test_those_that_are_named(void **state _unused_)
{
    static const char *const lines[] = { "HostKey /etc/ssh/mine", "  hostkey\t\"/etc/ssh/mine\"\n",
                                         "Port 22\nHOSTKEY = /etc/ssh/mine\r\n",
                                         "HostKeyAlgorithms x\nHostKey=/etc/ssh/mine\n" };

    for (size_t i = 0; i < ELEMENTSOF(lines); i++) {
        lay(lines[i], NULL);
        assert_told("[\"ssh-ed25519 MINE\"]");
        lay("Include /etc/ssh/sshd_config.d/*.conf\n", lines[i]);
        assert_told("[\"ssh-ed25519 MINE\"]");
    }
    lay("", "HostKey /etc/ssh/mine\n"); /* nothing leads there */
    assert_told("[\"" ED25519 "\",\"" ECDSA "\"]");
    lay("HostKey /etc/ssh/not-there\n", NULL);
    assert_told("[]");
}

static void test_what_cannot_be_told(void **state _unused_)
{
    lay("Include /etc/ssh/other/*.conf\n", NULL);
    assert_told("[]");
    lay("Include /etc/ssh/sshd_config.d/*.conf /etc/ssh/other.conf\n", NULL);
    assert_told("[]");
    lay(NULL, NULL);
    agent_root_write("/etc/ssh/ssh_host_ed25519_key.pub", "nonsense\n");
    agent_root_write("/etc/ssh/ssh_host_ecdsa_key.pub", "");
    assert_told("[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_usual_ones, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_those_that_are_named, agent_root_make, agent_root_remove),
        cmocka_unit_test_setup_teardown(test_what_cannot_be_told, agent_root_make, agent_root_remove),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
