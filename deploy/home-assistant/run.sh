#!/bin/sh
# What the add-on's container runs, as root: the config is written with what the Supervisor knows, then root and the Supervisor's token are given
# up, and the runtime takes this process over.
set -e
config=$(/usr/lib/hiddenstate/bin/node /addon/prepare.mjs)
# A restored backup need not have kept who owned what.
for name in state config.yaml broker-password; do
  if [ -e "/data/$name" ]; then chown -R hiddenstate:hiddenstate "/data/$name"; fi
done
exec env -u SUPERVISOR_TOKEN -u HASSIO_TOKEN \
  setpriv --reuid=hiddenstate --regid=hiddenstate --clear-groups --no-new-privs /usr/bin/hiddenstate run "$config"
