// A still picture: first the entry, then the drawing. The browser draws the frame that stands on the screen and burns
// in who took it, when, and the number of the entry.
export function stills(box, stage, video, tell) {
  const dialog = stage.querySelector('[data-still]');
  if (!dialog) return null;
  const place = dialog.querySelector('[data-still-pic]');
  const save = dialog.querySelector('[data-still-save]');
  let address = '';

  const draw = (s) => {
    const w = video.videoWidth, h = video.videoHeight;
    const size = Math.max(12, Math.round(w / 64)), line = Math.round(size * 1.5), band = line * s.lines.length + size;
    const canvas = document.createElement('canvas');
    canvas.width = w;
    canvas.height = h + band;
    const g = canvas.getContext('2d');
    g.drawImage(video, 0, 0, w, h);
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

  return async (at) => {
    video.pause();
    const r = await fetch(box.getAttribute('data-view') + '/snapshot', { method: 'POST', body: new URLSearchParams({ at: String(Math.round(at)) }), credentials: 'same-origin' });
    const s = await r.json().catch(() => ({}));
    if (!r.ok) { tell((s.fields && s.fields[0] && s.fields[0].text) || s.text || String(r.status)); return; }
    const canvas = draw(s);
    canvas.toBlob((b) => {
      address = URL.createObjectURL(b);
      save.href = address;
      save.setAttribute('download', s.file);
    }, 'image/png');
    dialog.querySelector('[data-still-number]').textContent = s.number;
    place.appendChild(canvas);
    dialog.showModal();
  };
}
