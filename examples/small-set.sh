#!/usr/bin/env bash
# A few hundred pictures, on whatever machine this is: the recipe that 'gan train' would choose, and an honest look.
#
# Usage   small-set.sh FOLDER [MINUTES]    --quick paints a stand-in.
# Needs   the pictures, no network; a processor is enough for 64 px.
# Takes   30 minutes unless told otherwise; on two cores that is colours and shapes at 64 px, on a card far more.
# Shows   the sheet of what the discriminator will see, the verdict, coverage and memorisation with intervals, a report.
set -euo pipefail
LENGTH=(--minutes "${2:-30}") SIZE=64
if [ "${1:-}" = --quick ]; then
    SIZE=16 LENGTH=(--kimg 0.1 --width 16)
    set -- "$(gan scrape hills --from demo -n 64 -o hills)"
fi

gan curate "$1" --size "$SIZE" -o small-set
gan info small-set --augment light
gan train small-set "${LENGTH[@]}" -o small-run
gan sample small-run -n 64
gan evaluate small-run
gan report small-run
