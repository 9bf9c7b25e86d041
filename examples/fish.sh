#!/usr/bin/env bash
# Fish at 64 px by WGAN-GP: first at 32 px, then grown, with the project's list of augmentations on reals and fakes.
#
# Usage   fish.sh FOLDER    a folder of a few thousand photos; --quick paints a stand-in.
# Needs   the photos, no network; a card for its full length.
# Takes   with one gaming card a day at EPOCHS=2500 for each size; on two cores expect a broad layout overnight.
# Shows   how the layers of the small run keep their weights: the first grid of fish-64, scaled down, is the last one
#         of fish-32. Grow again with --grow-from fish-64 for 128 px.
set -euo pipefail
EPOCHS=${EPOCHS:-2500} WIDTH=64 BATCH=32
if [ "${1:-}" = --quick ]; then
    EPOCHS=1 WIDTH=8 BATCH=16 SMALL=16
    gan scrape fish --from demo -n 48 -o fish
    set -- "$(gan curate fish --size 32 -o fish-set)"
fi
SMALL=${SMALL:-32}

gan train "$1" --model wgan-gp --size "$SMALL" --width "$WIDTH" --batch "$BATCH" --augment photo \
    --epochs "$EPOCHS" -o "fish-$SMALL"
gan train "$1" --grow-from "fish-$SMALL" --batch "$BATCH" --augment photo --epochs "$EPOCHS" -o "fish-$((2 * SMALL))"
gan sample "fish-$((2 * SMALL))" -n 64
gan interpolate "fish-$((2 * SMALL))" --even -o fish-walk.gif
