# Sourced by the scripts that `action.yml` runs: which files are models, by their names.
# shellcheck shell=bash disable=SC2034

names='(\.(safetensors|sft|pt|pth|bin|ckpt|pth\.tar|th|nemo|jit|torchscript|ptl|pt2|pkl|pickle|pdparams|index\.json|distcp|gguf|onnx|npz|npy|joblib|mar)|(^|/)(\.metadata))$'

# Those among names with zeros between, in the array `files`.
keep_models() {
  shopt -s nocasematch
  files=()
  while IFS= read -r -d '' file; do
    [[ "$file" =~ $names ]] && files+=("$file")
  done
}

has_base() {
  git cat-file -e "${BASE:-none}^{commit}" 2> /dev/null
}
