package kernel

// decode is AttentionForward for one query per sequence, which is generation
// token by token. Nothing is packed, since each key is read once: up to
// attnStrip heads that share a kv head are the rows of a strip, and keys and
// values are read where they lie.
func decode[T Float](s *AttentionShape, o []T, ldo int, lse, q []T, ldq int, k []T, ldk int, v []T, ldv int) {
	group := s.H / s.K
	strips := ceilDiv(group, attnStrip) // of a kv head
	Parallel(s.B*s.K*strips, func(task int) {
		b, g, first := task/strips/s.K, task/strips%s.K, task%strips*attnStrip
		h, rows := g*group+first, min(attnStrip, group-first)
		var w attnWork[T]
		w.layoutStrip(s)
		defer release(w.memory)
		w.start()
		row, qh := b*s.H+h, q[b*ldq+h*s.D:]
		firstTile := s.firstTile(s.Past)
		for j0 := firstTile; j0 <= s.Past; j0 += attnKeys {
			lo, hi := s.span(s.Past, 0, 1, j0, attnKeys)
			a, e := lo/16*16, roundUp(hi, 16)
			key := b*s.rows() + j0 + lo
			for r := 0; r < rows; r++ {
				w.loops.dotRows(w.p[r*attnLd+lo:], k[key*ldk+g*s.D:], ldk, qh[r*s.D:], 0, hi-lo, s.D)
			}
			x := w.p[a:]
			if s.SoftCap > 0 {
				w.loops.tanh(x, rows, e-a, T(s.Scale/s.SoftCap))
			}
			for r := 0; r < rows; r++ {
				hideOutside(x[r*attnLd:][:e-a], lo-a, hi-a)
			}
			hideKeys(x, s.mask(b), rows, j0+a, j0+e)
			w.loops.softmax(x, rows, e-a, T(s.factor()), w.max, w.sum, w.fall)
			w.drop(s, w.p, 0, rows, row, j0, a, e)
			later := j0 > firstTile
			if later {
				w.loops.scaleRows(w.acc, rows, w.width, w.fall)
			}
			w.mulRows(w.acc, w.p[lo:], v[key*ldv+g*s.D:], ldv, attnPanel, rows, s.D, hi-lo, later)
		}
		w.normalize(rows)
		if lse != nil {
			w.logSumExp(lse[row:], rows)
		}
		w.copyRows(o[b*ldo+h*s.D:], s.D, w.acc, attnLd, rows, s.D)
	})
}
