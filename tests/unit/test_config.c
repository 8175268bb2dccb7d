/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * test_config.c - the configuration: what a good file gives, and that the keyword table and
 * docs/config.md say the same. test_config_errors.c has what bad files are told.
 */
#include "base/err.h"
#include "model/config.h"
#include "model/config_keys.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* All error lines in one string; free it. */
static char *lines_of(const struct config_errors *errors)
{
	char *lines;
	size_t len;
	FILE *out = open_memstream(&lines, &len);

	assert_non_null(out);
	config_errors_print(errors, out);
	assert_int_equal(fclose(out), 0);
	return lines;
}

static struct model parse_good(const char *text)
{
	struct config_errors errors;
	struct model model;
	char *lines;
	int rc = config_parse("f", text, strlen(text), &model, &errors);

	lines = lines_of(&errors);
	if (rc || *lines)
		fail_msg("%d: %s\n%s", rc, lines, text);
	free(lines);
	config_errors_free(&errors);
	return model;
}

static void assert_endpoint(const struct addr *addr, uint16_t port, const char *wanted)
{
	char text[ENDPOINT_TEXT_LEN];

	assert_string_equal(endpoint_format(addr, port, text), wanted);
}

static void test_every_key_is_taken(void **state)
{
	struct model model =
		parse_good("interfaces:\n"
			   "  - match: veth*\n"
			   "    role: workload\n"
			   "    hook: clsact\n"
			   "  - {role: uplink, match: eth0}\n"
			   "limits: {services: 10, frontends: 20, backends: 30,\n"
			   "         slots: 1024, flows: 4096}\n"
			   "timeouts:\n"
			   "  tcp: 2h\n"
			   "  closing: 5s\n"
			   "  closed: 1m\n"
			   "  unproven: 3000ms\n"
			   "  udp: 16000s\n"
			   "  udp_unanswered: 1s\n"
			   "hash_seed: 000102030405060708090A0B0c0d0e0f\n"
			   "services:\n"
			   "  - name: shop/web-1.a_B\n"
			   "    protocol: udp\n"
			   "    algorithm: hash\n"
			   "    path: stack\n"
			   "    drain_timeout: 250ms\n"
			   "    vips: ['10.96.0.10:53', {address: 10.96.0.11, port: any}]\n"
			   "    vip: \"10.96.0.12:*\"\n"
			   "    backends:\n"
			   "      - address: 10.1.0.2\n"
			   "        port: 8053\n"
			   "        weight: 1000\n"
			   "        zone: eu-1\n"
			   "        labels: {rack: r1, app: web, rack-2: \"\", a: 1}\n"
			   "      - 10.1.0.3:53\n");
	const struct service *service = model.services;

	(void)state;
	assert_int_equal(model.interface_count, 2);
	assert_string_equal(model.interfaces[0].pattern, "veth*");
	assert_int_equal(model.interfaces[0].role, ROLE_WORKLOAD);
	assert_int_equal(model.interfaces[0].hook, HOOK_CLSACT);
	assert_string_equal(model.interfaces[1].pattern, "eth0");
	assert_int_equal(model.interfaces[1].role, ROLE_UPLINK);
	assert_int_equal(model.interfaces[1].hook, HOOK_AUTO);
	assert_int_equal(model.limits.services, 10);
	assert_int_equal(model.limits.frontends, 20);
	assert_int_equal(model.limits.backends, 30);
	assert_int_equal(model.limits.slots, 1024);
	assert_int_equal(model.limits.flows, 4096);
	assert_int_equal(model.timeouts.tcp, 7200);
	assert_int_equal(model.timeouts.closing, 5);
	assert_int_equal(model.timeouts.closed, 60);
	assert_int_equal(model.timeouts.unproven, 3);
	assert_int_equal(model.timeouts.udp, 16000);
	assert_int_equal(model.timeouts.udp_unanswered, 1);
	assert_true(model.has_hash_seed);
	assert_true(model.hash_seed[0] == 0x0001020304050607);
	assert_true(model.hash_seed[1] == 0x08090a0b0c0d0e0f);
	assert_int_equal(model.service_count, 1);
	assert_string_equal(service->name, "shop/web-1.a_B");
	assert_int_equal(service->protocol, IPPROTO_UDP);
	assert_int_equal(service->algorithm, ALGORITHM_HASH);
	assert_int_equal(service->path, PATH_STACK);
	assert_int_equal(service->drain_timeout_ms, 250);
	assert_int_equal(service->place.line, 17);
	assert_int_equal(service->place.column, 5);
	assert_int_equal(service->vip_count, 3);
	assert_endpoint(&service->vips[0].addr, service->vips[0].port, "10.96.0.10:53");
	assert_endpoint(&service->vips[1].addr, service->vips[1].port, "10.96.0.11:*");
	assert_endpoint(&service->vips[2].addr, service->vips[2].port, "10.96.0.12:*");
	assert_int_equal(service->vips[1].place.line, 22);
	assert_int_equal(service->vips[1].place.column, 29);
	assert_int_equal(service->backend_count, 2);
	assert_endpoint(&service->backends[0].addr, service->backends[0].port, "10.1.0.2:8053");
	assert_int_equal(service->backends[0].weight, 1000);
	assert_string_equal(service->backends[0].zone, "eu-1");
	assert_string_equal(service->backends[0].labels, "a=1,app=web,rack=r1,rack-2=");
	assert_endpoint(&service->backends[1].addr, service->backends[1].port, "10.1.0.3:53");
	assert_int_equal(service->backends[1].weight, 1);
	assert_string_equal(service->backends[1].labels, "");
	model_free(&model);
}

static void test_defaults_fill_what_is_left_out(void **state)
{
	struct model model =
		parse_good("services:\n"
			   "  - name: web\n"
			   "    vip: '[fd00::1]:80'\n"
			   "    backends: ['[fd00::2]:80', {address: fd00::3, port: 1}]\n"
			   "  - {name: none, vip: 10.0.0.1:80}\n"
			   "  - {name: all, vip: 10.0.0.1:*, backends: [10.1.0.1,\n"
			   "    {address: 10.1.0.2}, 10.1.0.3:80, 10.1.0.1:80]}\n");
	const struct service *web = &model.services[0], *all = &model.services[2];

	(void)state;
	assert_int_equal(web->protocol, IPPROTO_TCP);
	assert_int_equal(web->path, PATH_FAST);
	assert_int_equal(web->drain_timeout_ms, DRAIN_TIMEOUT_MS_DEFAULT);
	assert_int_equal(web->backends[0].weight, WEIGHT_DEFAULT);
	assert_int_equal(web->backends[1].weight, WEIGHT_DEFAULT);
	assert_string_equal(web->backends[0].zone, "");
	assert_endpoint(&web->backends[1].addr, web->backends[1].port, "[fd00::3]:1");
	assert_int_equal(model.services[1].backend_count, 0);
	assert_endpoint(&all->backends[0].addr, all->backends[0].port, "10.1.0.1:*");
	assert_endpoint(&all->backends[1].addr, all->backends[1].port, "10.1.0.2:*");
	assert_endpoint(&all->backends[3].addr, all->backends[3].port, "10.1.0.1:80");
	assert_false(model.has_hash_seed);
	model_free(&model);
}

/* Documents without services or rules that are right nevertheless. */
static void test_empty_files_are_empty_configurations(void **state)
{
	static const char *const texts[] = {
		"",   "\n\n",         "# nothing\n",    "---\n",        "---\n...\n",
		"{}", "services: []", "interfaces: []", "limits: {}\n", "\xef\xbb\xbf{}\n",
	};
	struct model defaults;

	(void)state;
	model_init(&defaults);
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct model model = parse_good(texts[i]);

		assert_int_equal(model.service_count, 0);
		assert_int_equal(model.interface_count, 0);
		assert_memory_equal(&model.limits, &defaults.limits, sizeof(defaults.limits));
		assert_memory_equal(&model.timeouts, &defaults.timeouts, sizeof(defaults.timeouts));
		model_free(&model);
	}
}

static void test_good_neighbours_are_taken(void **state)
{
	static const char *const texts[] = {
		/* a fixed port beside any port, in two services and in one */
		"services:\n"
		"- {name: a, vip: 10.0.0.1:*, backends: [10.1.0.1]}\n"
		"- {name: b, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}\n"
		"- {name: c, vips: [10.0.0.2:*, 10.0.0.2:80], backends: [10.1.0.1:80]}\n",
		/* the same VIP for both protocols */
		"services:\n"
		"- {name: a, vip: 10.0.0.1:53}\n"
		"- {name: b, vip: 10.0.0.1:53, protocol: udp}\n",
		/* another port or the other protocol of a VIP's address can be a backend */
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.0.0.1:8080]}\n"
		"- {name: b, vip: 10.0.0.2:53, protocol: udp, backends: [10.0.0.1:80]}\n",
		/* the same backend in two services, on two ports in one */
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80, 10.1.0.1:81]}\n"
		"- {name: b, vip: 10.0.0.2:80, backends: [10.1.0.1:80]}\n",
		/* both families in two services of one address plan */
		"services:\n"
		"- {name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}\n"
		"- {name: b, vip: '[fd00::1]:80', backends: ['[fd00::2]:80']}\n",
		/* JSON is YAML */
		"{\"services\": [{\"name\": \"a\", \"vip\": {\"address\": \"10.0.0.1\", \"port\": "
		"80}}]}",
		/* exactly at the limits */
		"limits: {services: 1, frontends: 2, backends: 1}\n"
		"services: [{name: a, vips: [10.0.0.1:80, 10.0.0.1:81], backends: "
		"[10.1.0.1:80]}]\n",
		/* the longest of all */
		"interfaces: [{match: abcdefghijklmno, role: uplink}]\n"
		"services:\n"
		"- name: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg\n"
		"  vip: 10.0.0.1:80\n"
		"  drain_timeout: 24h\n"
		"  backends:\n"
		"  - address: 10.1.0.1\n"
		"    port: 65535\n"
		"    weight: 0\n"
		"    zone: aaaaaaaaaabbbbbbbbbbccccccccccd\n"
		"    labels: {k1: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeefffffffffff,\n"
		"      k2: aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggggggggggh"
		"hhhhhhhhh}\n",
	};

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		struct model model = parse_good(texts[i]);

		model_free(&model);
	}
}

static void assert_read_fails(const char *path, int rc, const char *line)
{
	struct config_errors errors;
	struct model model;
	char *lines;

	assert_int_equal(config_read(path, &model, &errors), rc);
	lines = lines_of(&errors);
	assert_string_equal(lines, line);
	free(lines);
	config_errors_free(&errors);
}

static void test_files_that_cannot_be_read(void **state)
{
	char path[] = "/tmp/weir-test-config-XXXXXX", line[128];
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, CONFIG_SIZE_MAX + 1l), 0);
	close(fd);
	snprintf(line, sizeof(line), "%s: File too large\n", path);
	assert_read_fails(path, -EFBIG, line);
	unlink(path);
	assert_read_fails("/nonexistent/f", -ENOENT, "/nonexistent/f: No such file or directory\n");
	assert_read_fails("/", -EISDIR, "/: Is a directory\n");
}

/* A model that an operator's command has made has no file and no places. */
static void test_a_model_without_places_is_checked(void **state)
{
	struct model model = parse_good("services:\n"
					"- {name: a, vip: 10.0.0.1:80, backends: [10.1.0.1:80]}\n"
					"- {name: b, vip: 10.0.0.2:80, backends: [10.1.0.1:80]}\n");
	struct config_errors errors;
	char *lines;

	(void)state;
	config_errors_init(&errors, NULL);
	assert_int_equal(config_check(&model, &errors), 0);
	for (size_t i = 0; i < model.service_count; i++) {
		model.services[i].vips[0].place = (struct place){};
		model.services[i].vips[0].addr = model.services[0].vips[0].addr;
	}
	assert_int_equal(config_check(&model, &errors), -EINVAL);
	lines = lines_of(&errors);
	assert_string_equal(lines,
			    "vips: got 10.0.0.1:80, which is a VIP of service a, wanted another\n");
	free(lines);
	config_errors_free(&errors);
	config_errors_init(&errors, NULL);
	model.services[0].is_leaving = true;
	assert_int_equal(config_check(&model, &errors), 0);
	model_free(&model);
}

/* The same table serves single values, as an operator's command gives them. */
static void test_keys_set_single_values(void **state)
{
	struct backend backend = {};
	struct service service = {};
	struct err err = {};
	const struct config_key *key;

	(void)state;
	config_set_defaults(config_backend_keys, &backend);
	config_set_defaults(config_service_keys, &service);
	assert_int_equal(backend.weight, WEIGHT_DEFAULT);
	assert_int_equal(service.protocol, IPPROTO_TCP);
	assert_int_equal(service.drain_timeout_ms, DRAIN_TIMEOUT_MS_DEFAULT);
	key = config_find_key(config_backend_keys, "weight");
	assert_int_equal(config_set(key, &backend, "1000", &err), 0);
	assert_int_equal(backend.weight, 1000);
	assert_int_equal(config_set(key, &backend, "1001", &err), -EINVAL);
	assert_string_equal(err.text, "got 1001, wanted 0-1000");
	assert_int_equal(backend.weight, 1000);
	assert_null(config_find_key(config_backend_keys, "weights"));
	key = config_find_key(config_backend_keys, "labels");
	assert_int_equal(config_set(key, &backend, "a=b", &err), -EINVAL);
}

static void test_labels_stay_sorted_by_key(void **state)
{
	static const char *const keys[] = {"m", "b", "z", "m-1", "ma", "a", "m.", "l"};
	struct backend backend = {};
	struct err err = {};

	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(config_add_label(&backend, keys[i], "1", &err), 0);
	assert_string_equal(backend.labels, "a=1,b=1,l=1,m=1,m-1=1,m.=1,ma=1,z=1");
	for (size_t i = 0; i < COUNT(keys); i++)
		assert_int_equal(config_add_label(&backend, keys[i], "2", &err), -EINVAL);
	assert_string_equal(backend.labels, "a=1,b=1,l=1,m=1,m-1=1,m.=1,ma=1,z=1");
}

/* model_init and the fallbacks of the table must say the same. */
static void test_fallbacks_are_those_of_the_model(void **state)
{
	static const char *const groups[] = {"limits", "timeouts"};
	struct model model, defaults;

	(void)state;
	model_init(&defaults);
	for (size_t i = 0; i < COUNT(groups); i++) {
		const struct config_key *group = config_find_key(config_keys, groups[i]);

		memset(&model, 0, sizeof(model));
		for (const struct config_key *key = group->keys; key->name; key++) {
			assert_non_null(key->fallback);
			assert_int_equal(config_set(key, (char *)&model + group->offset,
						    key->fallback, NULL),
					 0);
		}
		assert_memory_equal((char *)&model + group->offset,
				    (char *)&defaults + group->offset, group->size);
	}
}

static const char *source_path(const char *name, char *path, size_t size)
{
	const char *source = getenv("WEIR_SOURCE");

	snprintf(path, size, "%s/%s", source ? source : ".", name);
	return path;
}

static char *read_source(const char *name)
{
	char path[4096], *text = calloc(1, 1 << 20);
	FILE *file = fopen(source_path(name, path, sizeof(path)), "re");

	if (!file)
		fail_msg("%s: %s", path, strerror(errno));
	assert_non_null(text);
	assert_true(fread(text, 1, (1 << 20) - 1, file) > 0);
	fclose(file);
	return text;
}

/* The part of the manual under "## services[].backends[]" and the like. */
static char *cut_section(const char *manual, const char *path)
{
	char title[128];
	const char *start, *end;

	snprintf(title, sizeof(title), "\n## `%s`\n", path);
	start = strstr(manual, title);
	assert_non_null(start);
	end = strstr(start + 1, "\n## ");
	return strndup(start, end ? (size_t)(end - start) : strlen(start));
}

static const char *default_of(const struct config_key *key)
{
	if (key->is_required)
		return "required";
	return key->fallback ? key->fallback : "none";
}

/* Each key has a row with what may stand there and its default, as the table has them. */
static void check_section(const char *manual, const char *path, const struct config_key *keys)
{
	char *section = cut_section(manual, path), row[512], range[256], below[128];

	for (const struct config_key *key = keys; key->name; key++) {
		config_format_range(key, range, sizeof(range));
		snprintf(row, sizeof(row), "\n| `%s` | %s | %s%s | %s |\n", key->name, range,
			 default_of(key), key->alternative ? ", or `vips`" : "", key->help);
		if (!strstr(section, row))
			fail_msg("docs/config.md, section %s: no row %s", path, row);
		if (!key->keys || key->alternative)
			continue;
		snprintf(below, sizeof(below), "%s%s%s%s", keys == config_keys ? "" : path,
			 keys == config_keys ? "" : ".", key->name,
			 key->kind == CONFIG_LIST ? "[]" : "");
		check_section(manual, below, key->keys);
	}
	free(section);
}

static void test_manual_has_every_key(void **state)
{
	char *manual = read_source("docs/config.md");

	(void)state;
	check_section(manual, "weir.yaml", config_keys);
	free(manual);
}

static void test_example_is_good(void **state)
{
	char *text = read_source("docs/example.yaml");
	struct model model = parse_good(text);

	(void)state;
	assert_true(model.service_count >= 3);
	assert_true(model.interface_count >= 2);
	model_free(&model);
	free(text);
}

/* What the manual shows between ```yaml and ``` is a whole file that is taken. */
static void test_manual_examples_are_good(void **state)
{
	char *manual = read_source("docs/config.md"), *at = manual, *end;
	size_t count = 0;

	(void)state;
	while ((at = strstr(at, "```yaml\n"))) {
		at += strlen("```yaml\n");
		end = strstr(at, "```");
		assert_non_null(end);
		*end = '\0';
		struct model model = parse_good(at);

		model_free(&model);
		at = end + 3;
		count++;
	}
	assert_true(count >= 2);
	free(manual);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key_is_taken),
		cmocka_unit_test(test_defaults_fill_what_is_left_out),
		cmocka_unit_test(test_empty_files_are_empty_configurations),
		cmocka_unit_test(test_good_neighbours_are_taken),
		cmocka_unit_test(test_files_that_cannot_be_read),
		cmocka_unit_test(test_a_model_without_places_is_checked),
		cmocka_unit_test(test_keys_set_single_values),
		cmocka_unit_test(test_labels_stay_sorted_by_key),
		cmocka_unit_test(test_fallbacks_are_those_of_the_model),
		cmocka_unit_test(test_manual_has_every_key),
		cmocka_unit_test(test_example_is_good),
		cmocka_unit_test(test_manual_examples_are_good),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
