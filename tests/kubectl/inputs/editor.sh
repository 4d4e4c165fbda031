#!/bin/sh
# An editor that follows $EDIT, a sed script.
sed -i "$EDIT" "$1"
