// The roll of a class: what is marked is kept in this browser until the appliance has it, then nothing of it is left. What
// cannot be sent any more is shown until its owner says what becomes of it.
const form = document.querySelector('[data-roll]');
const state = document.querySelector('[data-roll-state]');
const left = document.querySelector('[data-roll-left]');
const prefix = 'roll:';

function each(f) {
  try { Object.keys(localStorage).filter((k) => k.indexOf(prefix) === 0).forEach(f); } catch (e) { /* storage refused */ }
}

function say(name, kind) {
  if (!state) return;
  state.hidden = !name;
  state.className = 'note ' + (kind || 'warn');
  state.textContent = name ? state.getAttribute('data-t-' + name) : '';
}

if (form) {
  const id = prefix + form.getAttribute('data-roll');
  const day = form.elements.date.value;
  let waiting = false;
  let busy = false;

  // marked tells in words what differs from the page as it came.
  const marked = () => Array.prototype.filter.call(form.elements, (e) => (e.type === 'radio' || e.type === 'checkbox') && e.checked && !e.defaultChecked)
    .map((e) => e.closest('li').querySelector('b').textContent + ' ' + e.parentNode.textContent);

  const keep = () => {
    const kept = { key: form.elements.key.value, rev: form.elements.rev.value, waiting, title: form.getAttribute('data-t-title'), marks: marked(), form: new URLSearchParams(new FormData(form)).toString() };
    try { localStorage.setItem(id, JSON.stringify(kept)); } catch (e) { /* storage refused: the page still sends */ }
  };
  const read = (k) => { try { return JSON.parse(localStorage.getItem(k)); } catch (e) { return null; } };
  const forget = (k) => { try { localStorage.removeItem(k); } catch (e) { /* storage refused */ } };

  const fill = (kept) => {
    const f = new URLSearchParams(kept.form);
    Array.prototype.forEach.call(form.elements, (e) => {
      if (e.type === 'radio' && f.get(e.name) !== null) e.checked = f.get(e.name) === e.value;
      if (e.type === 'checkbox') { e.checked = f.getAll(e.name).indexOf(e.value) >= 0; if (e.checked) e.closest('details').open = true; }
    });
  };

  const button = (name, act) => {
    const b = document.createElement('button');
    b.type = 'button';
    b.className = 'btn btn--s';
    b.textContent = left.getAttribute('data-t-' + name);
    b.addEventListener('click', act);
    return b;
  };

  // show tells of a roll that cannot be sent any more: of another day, or of a class that somebody else has confirmed.
  const show = (k) => {
    const kept = read(k);
    if (!kept || !left) return;
    const at = k.slice(prefix.length).split('.');
    const row = document.createElement('div');
    row.className = 'note warn';
    const text = document.createElement('span');
    text.className = 'grow';
    const today = at[1] === day;
    text.textContent = (kept.title || at[0]) + ' ' + at[1] + ' · ' + left.getAttribute(today ? 'data-t-other' : 'data-t-old') + ' ' + ((kept.marks || []).join(left.getAttribute('data-t-sep')) || left.getAttribute('data-t-none'));
    row.appendChild(text);
    if (today) {
      row.appendChild(button('use', () => { fill(kept); keep(); forget(k); row.remove(); say('back'); }));
    } else {
      const a = document.createElement('a');
      a.className = 'btn btn--s';
      a.href = '/gate/class/' + encodeURIComponent(at[0]) + '?date=' + encodeURIComponent(at[1]);
      a.textContent = left.getAttribute('data-t-day');
      row.appendChild(a);
    }
    row.appendChild(button('drop', () => { forget(k); row.remove(); }));
    left.appendChild(row);
  };

  const restore = () => {
    const kept = read(id);
    if (!kept) return;
    if (kept.rev !== form.elements.rev.value && !kept.waiting) { // confirmed meanwhile by somebody else
      try { localStorage.setItem(id + '.was', JSON.stringify(kept)); } catch (e) { return; }
      forget(id);
      return;
    }
    fill(kept);
    form.elements.key.value = kept.key;
    form.elements.rev.value = kept.rev;
    waiting = kept.waiting;
    say(waiting ? 'kept' : 'back');
  };

  const send = () => {
    if (!waiting || busy) return;
    busy = true;
    say('sending');
    const stop = new AbortController();
    const late = setTimeout(() => stop.abort(), 10000);
    fetch(form.action, { method: 'POST', credentials: 'same-origin', body: new URLSearchParams(new FormData(form)), signal: stop.signal })
      .then((r) => {
        if (r.ok && r.redirected && r.url.indexOf('/login') < 0) { waiting = false; forget(id); location.assign(r.url); return; }
        if (r.status === 401 || r.url.indexOf('/login') >= 0) { say('login', 'bad'); return; }
        if (r.status >= 500) { say('kept'); return; }
        waiting = false;
        keep(); // not sent again by itself, and not lost
        say('refused', 'bad');
      })
      .catch(() => { say('kept'); })
      .then(() => { clearTimeout(late); busy = false; });
  };

  restore();
  each((k) => { if ((k.split('.')[1] || '') < day || k === id + '.was') show(k); });
  form.addEventListener('change', keep);
  form.addEventListener('submit', (ev) => {
    ev.preventDefault();
    waiting = true;
    keep();
    send();
  });
  addEventListener('online', send);
  setInterval(send, 5000);
  send();
}
