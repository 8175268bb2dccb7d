/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/* cmd.h - the functions of the commands, one file for each object; only commands.c needs them. */
#ifndef WEIR_CMD_H
#define WEIR_CMD_H

struct request;

int cmd_overview(const struct request *request);
int cmd_status(const struct request *request);
int cmd_load(const struct request *request);
int cmd_unload(const struct request *request);
int cmd_apply(const struct request *request);
int cmd_config_check(const struct request *request);
int cmd_service_list(const struct request *request);
int cmd_service_show(const struct request *request);
int cmd_service_add(const struct request *request);
int cmd_service_remove(const struct request *request);
int cmd_backend_list(const struct request *request);
int cmd_backend_add(const struct request *request);
int cmd_backend_remove(const struct request *request);
int cmd_backend_weight(const struct request *request);
int cmd_backend_drain(const struct request *request);
int cmd_backend_undrain(const struct request *request);
int cmd_stats(const struct request *request);
int cmd_outcomes(const struct request *request);
int cmd_flows(const struct request *request);
int cmd_completion_bash(const struct request *request);

#endif
