#!/bin/sh
# Run by the image's entry point before nginx: lays the fast lane into the configuration where this nginx has njs, and
# goes on to take over the groups of upstreams that the bus renders.
set -eu

lane=/tmp/fast-lane
shared=/var/lib/mantra/fast-lane
source=/etc/nginx/fast_lane
module=/usr/lib/nginx/modules/ngx_http_js_module.so

leave_out() {
    rm -f "$lane"/*
    echo "The fast lane is left out, and every call goes by the bus: $1" >&2
    exit 0
}

# Puts what the bus has rendered into the place of what nginx has. What nginx refuses is not tried again.
take() {
    cp "$shared/upstreams.conf" "$lane/upstreams.seen"
    cp "$lane/upstreams.conf" "$lane/upstreams.last"
    replace "$lane/upstreams.seen"
    nginx -t -q || { replace "$lane/upstreams.last"; return 1; }
}

# In one step: nginx may be starting.
replace() {
    cp "$1" "$lane/upstreams.new"
    mv "$lane/upstreams.new" "$lane/upstreams.conf"
}

follow() {
    while sleep 1; do
        [ ! -f "$shared/upstreams.conf" ] || cmp -s "$shared/upstreams.conf" "$lane/upstreams.seen" \
            || ! take || nginx -s reload || true
    done
}

mkdir -p "$lane"
rm -f "$lane"/*
[ "${MANTRA_FAST_LANE:-1}" = 1 ] || leave_out "MANTRA_FAST_LANE says so."
[ ! -f "$module" ] || echo "load_module $module;" > "$lane/module.main"
echo 'map "" $fast_lane_groups { default "-"; }' > "$lane/upstreams.conf"
cp "$source/http.conf" "$lane/lane.http"
cp "$source/server.conf" "$lane/lane.server"
nginx -t -q || leave_out "nginx refuses its configuration; has it njs 0.8.5 or newer?"
[ ! -f "$shared/upstreams.conf" ] || take || true
follow &
