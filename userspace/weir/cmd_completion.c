/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0 */
/*
 * cmd_completion.c - weir completion bash: the command table as a bash script.
 *
 * The table becomes bash arrays, with keys "_" and the path; the functions below only walk them
 * and know no command.
 */
#include "weir/cmd.h"
#include "weir/request.h"

#include <stdio.h>
#include <string.h>

static const char functions[] =
	"\n"
	"# Words for one value: a kind, or the words themselves. $2: the service before it.\n"
	"_weir_offer() {\n"
	"  case $1 in\n"
	"    FILE) compopt -o filenames 2>/dev/null; compgen -f -- \"$current\" ;;\n"
	"    SERVICE) weir service list 2>/dev/null | awk 'NR > 1 { print $1 }' ;;\n"
	"    BACKEND) weir backend list \"$2\" 2>/dev/null | awk 'NR > 1 { print $2 }' ;;\n"
	"    OTHER | -) ;;\n"
	"    *) printf '%s\\n' $1 ;;\n"
	"  esac\n"
	"}\n"
	"\n"
	"# Behind a command: its operands, then keywords and their values.\n"
	"_weir_arguments() {\n"
	"  local -a operands=(${_weir_operands[_$path]})\n"
	"  local last=${given[-1]:-}\n"
	"  if ((${#given[@]} < ${#operands[@]})) && [[ ${operands[0]} != - ]]; then\n"
	"    _weir_offer \"${operands[${#given[@]}]}\" \"${given[0]:-}\"\n"
	"  elif [[ -n $last && -n ${_weir_values[\"_$path $last\"]:-} ]]; then\n"
	"    _weir_offer \"${_weir_values[\"_$path $last\"]}\"\n"
	"  else\n"
	"    printf '%s\\n' ${_weir_keywords[_$path]:-}\n"
	"  fi\n"
	"}\n"
	"\n"
	"_weir_candidates() {\n"
	"  if [[ $current == -* ]]; then\n"
	"    printf '%s\\n' ${_weir_options[_$path]:---help --version}\n"
	"  elif [[ -z ${_weir_operands[_$path]:-} ]]; then\n"
	"    printf '%s\\n' ${_weir_next[_$path]}\n"
	"  else\n"
	"    _weir_arguments\n"
	"  fi\n"
	"}\n"
	"\n"
	"# The words come from the line: COMP_WORDS is broken at the colons of addresses.\n"
	"_weir() {\n"
	"  local line=${COMP_LINE:0:COMP_POINT} path= current word i\n"
	"  local -a words given=() matches\n"
	"  read -ra words <<<\"$line\"\n"
	"  [[ $line == *[[:space:]] ]] && words+=(\"\")\n"
	"  current=${words[-1]}\n"
	"  for word in \"${words[@]:1:${#words[@]}-2}\"; do\n"
	"    [[ $word == -* ]] || given+=(\"$word\")\n"
	"  done\n"
	"  while ((${#given[@]})) && [[ -z ${_weir_operands[_$path]:-} ]]; do\n"
	"    mapfile -t matches < <(compgen -W \"${_weir_next[_$path]}\" -- \"${given[0]}\")\n"
	"    [[ \" ${matches[*]} \" == *\" ${given[0]} \"* ]] && matches=(\"${given[0]}\")\n"
	"    ((${#matches[@]} == 1)) || return 0\n"
	"    path=${path:+$path }${matches[0]}\n"
	"    given=(\"${given[@]:1}\")\n"
	"  done\n"
	"  mapfile -t COMPREPLY < <(compgen -W \"$(_weir_candidates)\" -- \"$current\")\n"
	"  [[ $COMP_WORDBREAKS == *:* && $current == *:* ]] || return 0\n"
	"  for i in \"${!COMPREPLY[@]}\"; do\n"
	"    COMPREPLY[i]=${COMPREPLY[i]#\"${current%\"${current##*:}\"}\"}\n"
	"  done\n"
	"}\n"
	"complete -F _weir weir\n";

static const char *operand_name(enum operand operand)
{
	static const char *const names[] = {
		[OPERAND_NONE] = "-",          [OPERAND_FILE] = "FILE",
		[OPERAND_SERVICE] = "SERVICE", [OPERAND_BACKEND] = "BACKEND",
		[OPERAND_OTHER] = "OTHER",
	};

	return names[operand];
}

/* The first word of each path, and the second below that; the rows of a word stand together. */
static void print_next(void)
{
	const char *last = "";
	size_t last_len = 0;

	fputs("declare -A _weir_next=([_]=\"", stdout);
	for (const struct command *row = commands; row->path; row++) {
		size_t len = strcspn(row->path, " ");

		if (len && (len != last_len || strncmp(row->path, last, len)))
			printf("%s%.*s", last_len ? " " : "", (int)len, row->path);
		last = row->path;
		last_len = len;
	}
	last_len = 0;
	for (const struct command *row = commands; row->path; row++) {
		size_t len = strcspn(row->path, " ");

		if (!row->path[len])
			continue;
		if (len == last_len && !strncmp(row->path, last, len))
			printf(" %s", row->path + len + 1);
		else
			printf("\"\n  [_%.*s]=\"%s", (int)len, row->path, row->path + len + 1);
		last = row->path;
		last_len = len;
	}
	puts("\")");
}

static void print_operands(void)
{
	puts("declare -A _weir_operands=(");
	for (const struct command *row = commands; row->path; row++) {
		if (!*row->path)
			continue;
		printf("  [\"_%s\"]=\"%s", row->path, operand_name(row->operands[0]));
		for (int i = 1; i < OPERANDS_MAX && row->operands[i]; i++)
			printf(" %s", operand_name(row->operands[i]));
		puts("\"");
	}
	puts(")");
}

static void print_options(void)
{
	puts("declare -A _weir_options=(");
	for (const struct command *row = commands; row->path; row++) {
		printf("  [\"_%s\"]=\"", row->path);
		for (const struct option_row *option = options; option->name; option++) {
			if (option->flag & (row->options | OPTIONS_ALWAYS))
				printf("%s ", option->name);
		}
		puts("\"");
	}
	puts(")");
}

static void print_keywords(void)
{
	puts("declare -A _weir_keywords=(");
	for (const struct command *row = commands; row->path; row++) {
		if (!row->keywords)
			continue;
		printf("  [\"_%s\"]=\"", row->path);
		for (const struct keyword *keyword = row->keywords; keyword->name; keyword++)
			printf("%s ", keyword->name);
		puts("\"");
	}
	puts(")\ndeclare -A _weir_values=(");
	for (const struct command *row = commands; row->path; row++) {
		const struct keyword *keyword = row->keywords;

		for (; keyword && keyword->name; keyword++) {
			printf("  [\"_%s %s\"]=\"", row->path, keyword->name);
			if (!keyword->names)
				fputs(operand_name(keyword->operand), stdout);
			for (const struct name *name = keyword->names; name && name->text; name++)
				printf("%s ", name->text);
			puts("\"");
		}
	}
	puts(")");
}

int cmd_completion_bash(const struct request *request)
{
	puts("# bash completion for weir, made by `weir completion bash`");
	print_next();
	print_operands();
	print_options();
	print_keywords();
	fputs(functions, stdout);
	return EXIT_DONE;
}
