// Head count on a phone. Each tap is sent at once and kept on this phone until the appliance has it: a network that
// drops in the middle loses nothing, and what is sent twice counts once. Without this file the page is a plain form.
const all = (sel, in_ = document) => Array.prototype.slice.call(in_.querySelectorAll(sel));
const who = document.querySelector('[data-who]');
const KEEP = 'ck-emergency-' + (who ? who.getAttribute('data-who') : ''); // what one person stated is sent as theirs alone

// The queue holds what is not stored yet: address, fields, and when the button was pressed. Only ids, states and clues.
let queue = [];
try { queue = JSON.parse(localStorage.getItem(KEEP) || '[]').filter((q) => Date.now() - q.at < 12 * 3600 * 1000); } catch (e) { queue = []; }
const keep = () => { try { if (queue.length) localStorage.setItem(KEEP, JSON.stringify(queue)); else localStorage.removeItem(KEEP); } catch (e) { /* storage refused: it is kept while the page is open */ } };

const name = () => {
  const b = new Uint8Array(8);
  crypto.getRandomValues(b);
  return Array.prototype.map.call(b, (x) => x.toString(16).padStart(2, '0')).join('');
};

const offline = document.querySelector('[data-offline]');
const refused = document.querySelector('[data-refused]');
function tell(box, n, more) {
  if (!box) return;
  const span = box.querySelector('span');
  box.hidden = !n;
  if (n) span.textContent = span.getAttribute('data-text').replace('%n', n) + (more || '');
}

let sending = false, misses = 0, timer = 0;
function later() {
  clearTimeout(timer);
  timer = setTimeout(send, Math.min(15000, 1000 * Math.pow(2, misses)) * (1 + Math.random() / 2));
}

async function send() {
  if (sending) return;
  sending = true;
  clearTimeout(timer);
  while (queue.length) {
    const q = queue[0];
    const body = new URLSearchParams(q.fields);
    body.set('batch', q.batch);
    body.set('age', String(Math.max(0, Date.now() - q.at)));
    let r;
    try {
      const stop = new AbortController();
      const limit = setTimeout(() => stop.abort(), 10000);
      r = await fetch(q.to, { method: 'POST', body, credentials: 'same-origin', signal: stop.signal });
      clearTimeout(limit);
    } catch (e) { r = null; }
    if (!r || r.status >= 500 || r.status === 429 || r.status === 408 || r.status === 401) {
      misses++;
      tell(offline, queue.length, r && r.status === 401 ? ' ' + (document.body.getAttribute('data-t-out') || '').replace('%t', '') : '');
      later();
      break;
    }
    misses = 0;
    queue.shift();
    keep();
    const answer = await r.json().catch(() => null);
    if (!r.ok) tell(refused, 1, answer && answer.text ? ' ' + answer.text + (answer.fields ? ' ' + answer.fields.map((f) => f.text).join(' ') : '') : '');
    else if (answer && answer.pupils && !queue.length) show(answer);
    if (!queue.length) tell(offline, 0);
  }
  sending = false;
}

function put(to, fields) {
  const last = queue[queue.length - 1];
  if (last && !sending && last.to === to && Date.now() - last.at < 400) Object.assign(last.fields, fields); // several taps at once
  else queue.push({ to, fields, at: Date.now(), batch: name() });
  keep();
  clearTimeout(timer);
  if (misses) { tell(offline, queue.length); send(); } else timer = setTimeout(send, 300);
}

// The roll of a class.
const roll = document.querySelector('[data-emroll]');
const rows = (in_) => all('[data-pupil]', in_ || roll);
const chosen = (row) => { const i = row.querySelector('input[type=radio]:checked'); return i ? i.value : ''; };
function paint(row) {
  const s = chosen(row);
  row.classList.toggle('is-bad', s === 'missing');
  row.classList.toggle('is-warn', s === 'injured');
  const clue = row.querySelector('.emclue');
  if (clue && document.activeElement !== clue) clue.hidden = s !== 'missing' && s !== 'injured';
}
function counts() {
  const n = { open: 0, safe: 0, missing: 0, injured: 0 };
  rows().forEach((row) => {
    const s = chosen(row), away = row.closest('details') && row.hasAttribute('data-away');
    if (n[s] !== undefined && s) n[s]++; else if (!s && !away && row.closest('[data-rest]')) n.open++;
  });
  all('[data-n]').forEach((b) => { b.textContent = n[b.getAttribute('data-n')]; });
  const rest = document.querySelector('[data-restbutton]');
  if (rest) rest.disabled = n.open === 0;
}
function fieldsOf(row) {
  const id = row.getAttribute('data-pupil'), f = {};
  f['m.' + id] = chosen(row);
  const clue = row.querySelector('.emclue');
  if (clue && clue.value.trim() && !clue.hidden) f['n.' + id] = clue.value.trim();
  return f;
}
// show takes what the appliance knows: who was seen by others, and the counts; what this person chose stays as it is.
function show(a) {
  a.pupils.forEach((p) => {
    const row = roll && roll.querySelector('[data-pupil="' + p.student + '"]');
    if (!row) return;
    const d = row.querySelector('[data-detail]');
    if (d) d.textContent = [p.detail].concat(p.conflicts || []).filter(Boolean).join(' · ');
    if (!chosen(row) && p.state) {
      const i = row.querySelector('input[value="' + p.state + '"]');
      if (i) { i.checked = true; paint(row); }
    }
  });
  const c = document.querySelector('[data-counted]');
  if (c) c.textContent = a.text;
  all('[data-n]').forEach((b) => { b.textContent = a.count[b.getAttribute('data-n')]; });
  const done = document.querySelector('[data-done]');
  if (done && a.done) { done.hidden = false; done.querySelector('span').textContent = a.done; }
  const rest = document.querySelector('[data-restbutton]');
  if (rest) rest.disabled = a.count.open === 0;
}

if (roll) {
  const to = roll.getAttribute('data-emroll');
  rows().forEach((row) => {
    all('input[type=radio]', row).forEach((i) => i.addEventListener('change', () => {
      paint(row);
      const clue = row.querySelector('.emclue');
      if (clue) clue.hidden = i.value !== 'missing' && i.value !== 'injured';
      counts();
      put(to, fieldsOf(row));
    }));
    const clue = row.querySelector('.emclue');
    if (clue) clue.addEventListener('change', () => { if (chosen(row)) put(to, fieldsOf(row)); });
  });
  roll.addEventListener('submit', (ev) => {
    ev.preventDefault();
    const by = ev.submitter, fields = {};
    if (by && by.name === 'rest') {
      all('[data-rest]').forEach((list) => rows(list).forEach((row) => {
        if (chosen(row)) return;
        row.querySelector('input[value=safe]').checked = true;
        paint(row);
        Object.assign(fields, fieldsOf(row));
      }));
      counts();
    } else fields.done = '1';
    if (Object.keys(fields).length) put(to, fields);
  });
  // What is still kept from before a reload is shown as chosen.
  queue.forEach((q) => { if (q.to === to) Object.keys(q.fields).forEach((k) => {
    const i = k.indexOf('m.') === 0 && roll.querySelector('input[name="' + CSS.escape(k) + '"][value="' + q.fields[k] + '"]');
    if (i) { i.checked = true; paint(i.closest('[data-pupil]')); }
  }); });
  const fresh = async () => {
    if (queue.length) { send(); return; }
    try {
      const r = await fetch(to, { credentials: 'same-origin', cache: 'no-store', headers: { 'Ck-By-Itself': '1' } });
      if (r.ok) show(await r.json());
    } catch (e) { /* the next one tells it */ }
  };
  if (roll.hasAttribute('data-events') && window.EventSource) {
    let es = null, tries = 0;
    const listen = () => {
      es = new EventSource(roll.getAttribute('data-events'));
      es.addEventListener('change', fresh);
      es.addEventListener('open', () => { tries = 0; fresh(); });
      es.addEventListener('error', () => { es.close(); tries++; setTimeout(listen, Math.min(30000, 1000 * Math.pow(2, tries)) * (0.5 + Math.random())); });
    };
    listen();
    addEventListener('pagehide', () => es.close());
  }
}

// Some other class's pupil is with me: sent, or kept until the network is back.
all('[data-emfound]').forEach((form) => form.addEventListener('submit', (ev) => {
  if (navigator.onLine && !queue.length) return; // the page itself answers
  ev.preventDefault();
  const fields = {};
  new FormData(form).forEach((v, k) => { if (k !== 'batch') fields[k] = v; });
  if (ev.submitter && ev.submitter.name) fields[ev.submitter.name] = ev.submitter.value;
  put(form.getAttribute('data-emfound'), fields);
  tell(offline, queue.length);
  form.reset();
}));

addEventListener('online', () => { misses = 0; send(); });
addEventListener('focus', send);
if (queue.length) { tell(offline, queue.length); send(); }
