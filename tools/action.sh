#!/usr/bin/env bash
# What action.yml runs: records images where images were given, compares, tells GitHub. REWALK is the command, if it is there.
set -euo pipefail
: "${BASE:?}" "${HEAD:?}" "${SYSTEM:=}" "${IGNORE:=}" "${VERSION:=latest}" "${GITHUB_OUTPUT:=/dev/null}"
if [ -z "${REWALK:-}" ]; then
  case "$VERSION" in
    */* | *.tgz) spec=$VERSION ;;
    *) spec=rewalk@$VERSION ;;
  esac
  npm install --silent --no-save --no-audit --no-fund --prefix "${RUNNER_TEMP:-/tmp}/rewalk" "$spec"
  REWALK="${RUNNER_TEMP:-/tmp}/rewalk/node_modules/.bin/rewalk"
fi
work=$(mktemp -d)
recording() { # image or recording, name
  if [ -z "$SYSTEM" ]; then
    echo "$1"
    return
  fi
  # A guest that is killed or panics exits with 1: that is for the comparison to tell.
  local code=0
  "$REWALK" record "$SYSTEM/$2" --image "$1" --output "$work/$2.rewalk" --quiet >&2 || code=$?
  [ "$code" -le 1 ] || exit "$code"
  echo "$work/$2.rewalk"
}
base=$(recording "$BASE" base)
head=$(recording "$HEAD" head)
code=0
"$REWALK" diff "$base" "$head" --github ${IGNORE:+--ignore "$IGNORE"} || code=$?
case $code in
  0) echo "different=false" >>"$GITHUB_OUTPUT" ;;
  1) echo "different=true" >>"$GITHUB_OUTPUT" ;;
esac
exit "$code"
