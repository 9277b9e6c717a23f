// The roll of a class: what is marked is kept in this browser until the appliance has it, then nothing of it is left.
const form = document.querySelector('[data-roll]');
const state = document.querySelector('[data-roll-state]');
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

  const keep = () => {
    const kept = { key: form.elements.key.value, rev: form.elements.rev.value, waiting, form: new URLSearchParams(new FormData(form)).toString() };
    try { localStorage.setItem(id, JSON.stringify(kept)); } catch (e) { /* storage refused: the page still sends */ }
  };
  const forget = () => { try { localStorage.removeItem(id); } catch (e) { /* storage refused */ } };

  // What is older than a day was never sent and will not be: it goes.
  each((k) => { if ((k.split('.')[1] || '') < day) localStorage.removeItem(k); });

  const restore = () => {
    let kept = null;
    try { kept = JSON.parse(localStorage.getItem(id)); } catch (e) { /* nothing readable */ }
    if (!kept) return;
    if (kept.rev !== form.elements.rev.value && !kept.waiting) { forget(); return; } // taken meanwhile
    const f = new URLSearchParams(kept.form);
    Array.prototype.forEach.call(form.elements, (e) => {
      if (e.type === 'radio') e.checked = f.get(e.name) === e.value;
      if (e.type === 'checkbox') { e.checked = f.getAll(e.name).indexOf(e.value) >= 0; if (e.checked) e.closest('details').open = true; }
    });
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
        if (r.ok && r.redirected && r.url.indexOf('/login') < 0) { waiting = false; forget(); location.assign(r.url); return; }
        if (r.status === 401 || r.url.indexOf('/login') >= 0) { say('login', 'bad'); return; }
        if (r.status >= 500) { say('kept'); return; }
        waiting = false;
        forget();
        say('refused', 'bad');
      })
      .catch(() => { say('kept'); })
      .then(() => { clearTimeout(late); busy = false; });
  };

  restore();
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
