#!/bin/sh
# Stands in for a browser's program: starts it in the network namespace that NAMESPACE names.
exec nsenter --net="/run/netns/$NAMESPACE" -- "$BROWSER" "$@"
