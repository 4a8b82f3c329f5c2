#!/usr/bin/env bash
# Run `paraminspect check` on model files: those of $FILES, one a line, or those that changed since commit $BASE.
# Findings go to the log and, as SARIF, to the file $SARIF. $FAIL_ON and $DEEP are the options of the same name.
set -u -o pipefail
source "${BASH_SOURCE[0]%/*}/model_files.sh"

if [ -n "${FILES:-}" ]; then
  files=()
  while IFS= read -r file; do [ -n "$file" ] && files+=("$file"); done <<< "$FILES"
# a first push has no base, or one of zeros, and a shallow clone does not hold it: then every model file counts
elif has_base; then
  keep_models < <(git diff --name-only -z --diff-filter=ACMRT "$BASE" HEAD --)
else
  keep_models < <(git ls-files -z)
fi

if [ "${#files[@]}" -eq 0 ]; then
  echo 'no model files to check'
  exit 0
fi

options=(--fail-on "${FAIL_ON:-error}")
[ "${DEEP:-false}" = true ] && options+=(--deep)
if [ -n "${SARIF:-}" ]; then
  paraminspect check "${options[@]}" --format sarif -- "${files[@]}" > "$SARIF" 2> /dev/null
fi
paraminspect check "${options[@]}" -- "${files[@]}"
