#!/usr/bin/env bash
# Robots on white at 256 px, after GANdam: drawings padded with white, a latent of 2048, a slow discriminator.
#
# Usage   gandam.sh FOLDER    a folder of drawings on a light ground; --quick paints a stand-in.
# Needs   the drawings, no network; a card for 256 px.
# Takes   with a 6 GB card half a day at KIMG=500; on two cores use SIZE=64.
# Shows   fixed and fresh latents side by side in samples/: one image looked at per epoch made a collapse pass for
#         variety over time there. The robots face one way, so nothing is mirrored.
set -euo pipefail
SIZE=${SIZE:-256} KIMG=${KIMG:-500} WIDTH=32 LATENT=2048
if [ "${1:-}" = --quick ]; then
    SIZE=32 KIMG=0.1 WIDTH=8 LATENT=64
    set -- "$(gan scrape robots --from demo -n 48 -o robots)"
fi

gan curate "$1" --size "$SIZE" --fit pad --background white -o "robots-$SIZE"
gan train "robots-$SIZE" --model dcgan --width "$WIDTH" --latent-dim "$LATENT" --batch 16 --lr 5e-4 --d-lr 5e-5 \
    --betas 0.9,0.999 --label-smoothing 0.01 --dropout 0.25 --lr-schedule linear --no-flip --kimg "$KIMG" -o robots-run
gan sample robots-run -n 32 --grid
gan gif robots-run -o robots-training.gif
