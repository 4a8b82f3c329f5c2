#!/usr/bin/env bash
# Run `paraminspect check` on model files: those of $FILES, one a line, or those that changed since commit $BASE.
# Findings go to the log and, as SARIF, to the file $SARIF. $FAIL_ON and $DEEP are the options of the same name.
set -u -o pipefail

shopt -s nocasematch
names='(\.(safetensors|sft|pt|pth|bin|ckpt|pth\.tar|th|nemo|jit|torchscript|ptl|pt2|pkl|pickle|pdparams|index\.json|distcp|gguf|onnx|npz|npy|joblib|mar)|(^|/)(\.metadata))$'
files=()
if [ -n "${FILES:-}" ]; then
  while IFS= read -r file; do [ -n "$file" ] && files+=("$file"); done <<< "$FILES"
else
  # a first push has no base, or one of zeros, and a shallow clone does not hold it: then every model file counts
  if git cat-file -e "${BASE:-none}^{commit}" 2> /dev/null; then
    list() { git diff --name-only -z --diff-filter=ACMRT "$BASE" HEAD --; }
  else
    list() { git ls-files -z; }
  fi
  while IFS= read -r -d '' file; do
    [[ "$file" =~ $names ]] && files+=("$file")
  done < <(list)
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
