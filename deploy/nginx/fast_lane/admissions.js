// The admissions that the bus gives: kept, dropped and reported. Their use is in lane.js.
//
// lane_admissions  name of an admission → its record          lane_asked  names for which a call asks the bus just now
// lane_leases      id → calls that are left of its lease      lane_ended  id → calls that were taken, for the next tick
// lane_stops       "now": what is stopped, as the bus last said
// lane_state       "version": the registry's newest version seen; "heard": when the bus answered last (ms)

import lane from 'lane.js';

// From a lease is taken so much that no call gets one of it any more. So what was taken before is known exactly.
const CLOSED = 1e9;
// Milliseconds without a word of the bus after which no admission counts.
const SILENCE = 600;
const TICK = 'http://127.0.0.1:8082/fast-lane/tick';
// The part of its life after which an admission is renewed: the next one comes before calls need it.
const RENEWED = 0.7;
const BETWEEN = '\x01';
// The headers of callers that http.conf can send on, and those of the bus that it can add.
const FORWARDED = [
    'accept', 'accept-encoding', 'accept-language', 'content-type', 'if-match', 'if-modified-since', 'if-none-match',
    'if-range', 'if-unmodified-since', 'prefer', 'range', 'soapaction', 'x-api-key', 'user-agent',
];
const ADDED = ['X-Content-Type-Options', 'Content-Security-Policy', 'Deprecation', 'Sunset'];
const MOST_ENDED = 5000;
const EVERYTHING = 1e6;
// A control character in JSON. A line's end within a value would add a line to a head.
const CONTROL = /\\u00[01]|\\[bfnrt]/;

// Of the response to a call that asked for an admission: keeps the one that came with it.
function receive(r) {
    const text = r.variables.upstream_http_x_mantra_admission;
    const name = r.variables.lane_name;
    if (text) {
        try {
            keep(name, JSON.parse(text), CONTROL.test(text) ? '' : r.variables.fast_lane_groups);
        } catch (error) {
            r.error(`an admission cannot be kept: ${error.message}`);
        }
    }
    ngx.shared.lane_asked.delete(name);
}

function keep(name, admission, groups) {
    const now = Date.now();
    const fits = admission.groups === groups && isPossible(admission);
    if (!fits || isOld(admission.version) || now - heard() > SILENCE) {
        end(admission.id, 0);
        return;
    }
    drop(name);
    ngx.shared.lane_leases.set(admission.id, admission.lease);
    if (!added(name, recordOf(admission, now))) {
        close(admission.id, admission.lease);
    }
}

// Whether an admission is of an older registry than the newest that was seen. Where it is of a newer one, all others go.
function isOld(version) {
    const newest = ngx.shared.lane_state.get('version');
    if (newest === undefined || version > newest) {
        ngx.shared.lane_state.set('version', version);
        dropWhere(() => true);
    }
    return version < newest;
}

function heard() {
    return ngx.shared.lane_state.get('heard') || 0;
}

// False where another call has just brought one, or the dictionary is full.
function added(name, record) {
    try {
        return ngx.shared.lane_admissions.add(name, record);
    } catch (error) {
        return false;
    }
}

// The record of an admission. lane.js reads the first 75 characters, at fixed places: when it ends and when it is
// renewed before (ms), its id, its lease, and what is left of the quota after the lease and until when; "-" without a
// quota. http.conf reads the fields after them.
function recordOf(admission, now) {
    const life = Math.min(admission.ms, 1000);
    const quota = admission.quota;
    const left = quota ? digits(quota[2], 15) + digits(now + quota[3] * 1000, 13) : '-'.padEnd(28);
    const places = digits(now + life, 13) + digits(now + life * RENEWED, 13) + admission.id + digits(admission.lease, 5);
    return [places + left].concat(fieldsOf(admission)).join(BETWEEN) + BETWEEN;
}

function digits(number, count) {
    return String(Math.floor(number)).padStart(count, '0');
}

// In the order in which http.conf reads them.
function fieldsOf(admission) {
    const lines = Object.keys(admission.send).filter(name => name !== 'User-Agent');
    const quota = admission.quota;
    return [
        admission.retry ? 'lane:retry' : 'lane:call',
        admission.log,
        admission.group,
        admission.base,
        admission.query || '',
        [admission.host].concat(lines.map(name => `${name}: ${admission.send[name]}`)).join('\r\n'),
        admission.send['User-Agent'] || '',
        FORWARDED.map(name => admission.forward.includes(name) ? '1' : '0').join(''),
        flagsOf(admission.returned),
        `,${admission.returned.filter(name => places[name] === undefined).join(',')},`,
        admission.max_bytes,
        admission.vary,
        admission.addresses.alias,
        admission.addresses.bases.join(' '),
        quota ? `"quota";q=${quota[0]};w=${quota[1]}` : '',
    ].concat(ADDED.map(name => admission.added[name] || ''), [admission.parts]);
}

// One digit for each place of headers.json: whether that header goes back.
function flagsOf(returned) {
    const flags = [];
    Object.keys(places).forEach(name => {
        flags[places[name]] = returned.includes(name.toLowerCase()) ? '1' : '0';
    });
    return flags.join('');
}

// Whether http.conf can do all that an admission asks for.
function isPossible(admission) {
    return admission.forward.every(name => FORWARDED.includes(name))
        && Object.keys(admission.added).every(name => ADDED.includes(name));
}

// Drops the admission of a name, if there is one.
function drop(name) {
    const kept = ngx.shared.lane_admissions.pop(name);
    if (kept !== undefined) {
        close(kept.slice(26, 42), Number(kept.slice(42, 47)));
    }
}

// Closes a lease: no call takes from it any more.
function close(id, lease) {
    const left = ngx.shared.lane_leases.incr(id, -CLOSED) + CLOSED;
    end(id, lease - Math.max(left, 0));
}

function end(id, used) {
    ngx.shared.lane_ended.set(id, used);
}

// Every 0.2 s: tells the bus which admissions have ended, and drops those that are older than its registry.
async function tick(session) {
    dropWhere(record => record.slice(0, 13) <= Date.now());
    const ended = ngx.shared.lane_ended.items(MOST_ENDED);
    const said = await exchange(session.variables.fast_lane_groups, ended);
    if (said !== null) {
        ngx.shared.lane_state.set('heard', Date.now());
        ended.forEach(each => forget(each[0]));
        isOld(said.version);
        keepStops(said.stops);
    } else if (Date.now() - heard() > SILENCE) {
        dropWhere(() => true);
    }
}

// For the responses that are under way: lane.js (isStopped).
function keepStops(stops) {
    if (stops) {
        ngx.shared.lane_stops.set('now', `,${stops},`);
    } else {
        ngx.shared.lane_stops.delete('now');
    }
}

function forget(id) {
    ngx.shared.lane_ended.delete(id);
    ngx.shared.lane_leases.delete(id);
}

function dropWhere(over) {
    ngx.shared.lane_admissions.items(EVERYTHING).forEach(each => {
        if (over(each[1])) {
            drop(each[0]);
        }
    });
}

// The version of the bus's registry, and what is stopped; null where the bus does not answer.
async function exchange(groups, ended) {
    try {
        const reply = await ngx.fetch(TICK, {method: 'POST', body: JSON.stringify({groups: groups, ended: ended})});
        return reply.status === 200 ? await reply.json() : null;
    } catch (error) {
        return null;
    }
}

// For the bus: a call that found no upstream, and why. Its admission is dropped.
function failed(r) {
    const variables = r.variables;
    drop(lane.nameOf(variables));
    return `${variables.lane_id} ${variables.lane_call} ${reason(variables)} ${variables.lane_group}`;
}

// Of a call that nginx refuses: it is none of its lease.
function giveBack(r) {
    const id = r.variables.lane_id;
    return ngx.shared.lane_leases.has(id) ? String(ngx.shared.lane_leases.incr(id, 1)) : '';
}

function reason(variables) {
    const last = text => String(text || '-').split(/[,:] ?/).pop().trim();
    if (last(variables.upstream_connect_time) === '-') {
        return 'unreachable';
    }
    if (last(variables.upstream_header_time) !== '-') {
        return 'status';
    }
    return last(variables.upstream_status) === '504' ? 'late' : 'closed';
}

export default {receive, tick, failed, giveBack};
