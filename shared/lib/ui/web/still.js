// A still picture. The frame on the screen is copied first, together with its instant; then that instant is entered in
// the log; then who took it, when, and the number of the entry are burnt in. A refused copy is thrown away.
// wall gives the instant of a media time; shown the media time of the frame on the screen; hold stops what moves it.
export function stills(box, stage, video, tell, { wall, shown, hold }) {
  const dialog = stage.querySelector('[data-still]');
  if (!dialog) return null;
  const place = dialog.querySelector('[data-still-pic]');
  const save = dialog.querySelector('[data-still-save]');
  let address = '';

  // copy takes the frame with its media time in one task; a frame that plays is taken as it is presented.
  const copy = () => new Promise((done) => {
    const take = (mediaTime) => {
      video.pause();
      const c = document.createElement('canvas');
      c.width = video.videoWidth;
      c.height = video.videoHeight;
      c.getContext('2d').drawImage(video, 0, 0, c.width, c.height);
      done({ picture: c, at: wall(mediaTime) });
    };
    if (!video.requestVideoFrameCallback || (video.paused && !video.seeking)) { take(shown()); return; }
    let taken = false;
    const once = (t) => { if (!taken) { taken = true; take(t); } };
    video.requestVideoFrameCallback((_, m) => once(m.mediaTime));
    setTimeout(() => once(shown()), 500);
  });

  const draw = (s, picture) => {
    const w = picture.width, h = picture.height;
    const size = Math.max(12, Math.round(w / 64)), line = Math.round(size * 1.5), band = line * s.lines.length + size;
    const canvas = document.createElement('canvas');
    canvas.width = w;
    canvas.height = h + band;
    const g = canvas.getContext('2d');
    g.drawImage(picture, 0, 0);
    g.font = size + 'px "Noto Sans CJK SC", "Microsoft YaHei", "PingFang SC", sans-serif';
    g.save();
    g.beginPath();
    g.rect(0, 0, w, h);
    g.clip();
    g.translate(w / 2, h / 2);
    g.rotate(-16 * Math.PI / 180);
    g.fillStyle = 'rgba(255,255,255,.3)';
    g.strokeStyle = 'rgba(0,0,0,.2)';
    g.lineWidth = size / 16;
    const step = g.measureText(s.mark).width + size * 4;
    for (let y = -h; y < h; y += size * 7) {
      for (let x = -w - (y / 3) % step; x < w; x += step) { g.strokeText(s.mark, x, y); g.fillText(s.mark, x, y); }
    }
    g.restore();
    g.fillStyle = '#0b1115';
    g.fillRect(0, h, w, band);
    g.fillStyle = '#f0f5f8';
    g.textBaseline = 'top';
    s.lines.forEach((t, i) => g.fillText(t, size, h + size / 2 + i * line, w - 2 * size));
    return canvas;
  };

  dialog.addEventListener('close', () => {
    place.textContent = '';
    save.removeAttribute('href');
    if (address) URL.revokeObjectURL(address);
    address = '';
  });

  const token = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (b) => b.toString(16).padStart(2, '0')).join('');
  let taking = false;
  const take = async () => {
    if (taking || dialog.open) return;
    taking = true;
    try {
      hold();
      const { picture, at } = await copy();
      const body = new URLSearchParams({ at: String(Math.round(at)), id: token() }); // the same request counts once
      const r = await fetch(box.getAttribute('data-view') + '/snapshot', { method: 'POST', body, credentials: 'same-origin' });
      const s = await r.json().catch(() => ({}));
      if (!r.ok) { tell((s.fields && s.fields[0] && s.fields[0].text) || s.text || String(r.status)); return; }
      const canvas = draw(s, picture);
      canvas.toBlob((b) => {
        address = URL.createObjectURL(b);
        save.href = address;
        save.setAttribute('download', s.file);
      }, 'image/png');
      dialog.querySelector('[data-still-number]').textContent = s.number;
      place.textContent = '';
      place.appendChild(canvas);
      dialog.showModal();
    } finally { taking = false; }
  };
  save.addEventListener('click', () => setTimeout(() => dialog.close(), 1000)); // it is saved: back to the pictures
  return { take, busy: () => taking };
}
