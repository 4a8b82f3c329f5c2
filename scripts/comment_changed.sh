#!/usr/bin/env bash
# Comment on pull request $PULL_REQUEST of $REPOSITORY what changed in its model files since commit $BASE, as markdown.
# There is one comment, which each run writes anew. `gh` posts it, with $GH_TOKEN; where it may not, as for a pull request
# from a fork, that is a warning, and the text is in the summary of the run all the same.
set -u -o pipefail
source "${BASH_SOURCE[0]%/*}/model_files.sh"

mark='<!-- paraminspect -->'
most=60000  # bytes: GitHub takes 65,536 characters
comments="repos/$REPOSITORY/issues/$PULL_REQUEST/comments"
said=$(mktemp) wrong=$(mktemp) body=$(mktemp)
trap 'rm -f "$said" "$wrong" "$body"' EXIT

if ! has_base; then
  echo '::warning::paraminspect compares with the base of the pull request: actions/checkout needs fetch-depth: 0'
  exit 0
fi
# a renamed file is both of its names here, of which git makes one again
keep_models < <(git diff --name-only -z --no-renames --diff-filter=ACDMT "$BASE" HEAD --)
if [ "${#files[@]}" -gt 0 ]; then
  GIT_EXTERNAL_DIFF='paraminspect diff --git --format markdown --' \
    git --literal-pathspecs diff --ext-diff --find-renames "$BASE" HEAD -- "${files[@]}" > "$said" 2> "$wrong"
fi

old=$(gh api --paginate "$comments" --jq \
  ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$mark\"))) | .id" 2> /dev/null | head -n 1)
if [ ! -s "$said" ] && [ -z "$old" ]; then
  echo 'no model file is changed'
  exit 0
fi
{
  printf '%s\n## What changes in the models\n\n' "$mark"
  if [ "$(wc -c < "$said")" -gt "$most" ]; then
    head -c "$most" "$said" | sed '$d'
    printf '\n… and more: the summary of the run has all of it.\n'
  else
    cat "$said"
  fi
  [ -s "$said" ] || printf 'Nothing any more.\n'
  # said about files whose names a stranger may have chosen: code, which mentions nobody
  [ -s "$wrong" ] && { printf '\n'; head -c 2000 "$wrong" | sed 's/^/    /'; }
} > "$body"
cat "$said" "$wrong"
[ -n "${GITHUB_STEP_SUMMARY:-}" ] && cat "$said" >> "$GITHUB_STEP_SUMMARY"

if [ -n "$old" ]; then
  gh api --silent --method PATCH "repos/$REPOSITORY/issues/comments/$old" -F "body=@$body"
else
  gh api --silent --method POST "$comments" -F "body=@$body"
fi || echo '::warning::paraminspect may not comment here: permissions: {pull-requests: write}; forks have none'
exit 0
