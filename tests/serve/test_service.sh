#!/bin/bash
# The systemd unit: systemd takes it, and what it allows stays little. Exit 77 (a skip) without systemd-analyze.
# usage: test_service.sh CALVARIA
calvaria=$1
. "$(dirname "$0")/../cli/lib.sh"
command -v systemd-analyze >/dev/null || { echo '    skipped: no systemd-analyze'; echo '0 passed, 0 failed, 1 skipped'; exit 77; }

sed "s|/usr/bin/calvaria|$calvaria|" packaging/calvaria.service >"$work/calvaria.service"
said=$(systemd-analyze verify "$work/calvaria.service" 2>&1)
holds "systemd takes the unit: $said" test $? -eq 0 -a -z "$said"
# 0 to 100: 14 with systemd 252; memory that is written and run, and the network, cost the most of it.
ok systemd-analyze security --offline=true --threshold=20 "$work/calvaria.service"
sed 's|^Protect.*||' "$work/calvaria.service" >"$work/open.service"
systemd-analyze security --offline=true --threshold=20 "$work/open.service" >/dev/null 2>&1
holds 'a unit without protection is found' test $? -ne 0
options=$(sed -n 's/^Environment="CALVARIA_OPTIONS=\(.*\)"/\1/p' packaging/calvaria.service)
for option in $(printf '%s %s' "$(sed -n 's/^ExecStart=//p' packaging/calvaria.service)" "$options" | grep -o -e '--[a-z-]*'); do
    holds "$option is an option" grep -q -e "$option " <("$calvaria" serve --help)
done
finish
