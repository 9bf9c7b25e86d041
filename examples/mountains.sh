#!/usr/bin/env bash
# Mountains at 160 px, after the Generative Landscapes project: six queries, mirrored copies, a latent of 1000.
#
# Needs   the internet (or --quick, which paints its pictures), 2 GB of disk.
# Takes   with a 6 GB card about half a day for EPOCHS=600; on two cores give SIZE=64 and a night.
# Shows   that such a set collapses when trained on and on: look at the diversity in each tick's line, at the verdict,
#         and at best.pt, which is the tick before it began. --d-every 2e rests the discriminator every other epoch.
set -euo pipefail
SIZE=${SIZE:-160} EPOCHS=${EPOCHS:-600} COUNT=600 WIDTH=64 LATENT=1000 SOURCE=()
if [ "${1:-}" = --quick ]; then
    SIZE=32 EPOCHS=2 COUNT=60 WIDTH=8 LATENT=64 SOURCE=(--from demo)
fi

gan scrape "snowy mountains" "desert mountains" "green mountains" "high rocky mountains" "high mountains" \
    "scottish highland mountains" -n "$COUNT" "${SOURCE[@]}" -o mountains
gan curate mountains --size "$SIZE" --mirror -o "mountains-$SIZE"
gan train "mountains-$SIZE" --model dcgan --width "$WIDTH" --latent-dim "$LATENT" --batch 32 --lr 7e-5 --d-lr 1e-4 \
    --betas 0,0.999 --dropout 0.25 --d-every 2e --epochs "$EPOCHS" --on-collapse stop -o mountains-run
gan sample mountains-run -n 49
gan gif mountains-run --caption -o mountains-training.gif
gan interpolate mountains-run -o mountains-walk.gif
