package kernel

// AttentionForward computes o (B,T,H*D) = causal attention of q (B,T,H*D) over
// k and v (B,Past+T,K*D), and lse (B,H,T), the log-sum-exp of each query's
// logits, which the backward pass needs (0 where a query has no key); lse may
// be nil.
//
// Keys are streamed past blocks of queries with a running maximum (Dao et al.
// 2022, arXiv:2205.14135): no (T,T) matrix exists, and what the mask hides is
// skipped, so that a window W costs O(T*W).
//
// For float32 and q, k, v of size 1 the error of o, of lse and of all gradients
// is at most 1e-5 of the largest element of each.
func AttentionForward[T Float](s AttentionShape, o []T, ldo int, lse, q []T, ldq int, k []T, ldk int, v []T, ldv int) {
	s.check()
	s.checkRows(len(o), s.B*s.T, ldo, s.H)
	s.checkRows(len(q), s.B*s.T, ldq, s.H)
	s.checkRows(len(k), s.kvRows(), ldk, s.K)
	s.checkRows(len(v), s.kvRows(), ldv, s.K)
	if lse != nil && len(lse) < s.B*s.H*s.T {
		panic("kernel: attention: lse is shorter than (B,H,T)")
	}
	if s.B == 0 || s.T == 0 {
		return
	}
	if s.T == 1 {
		decode(&s, o, ldo, lse, q, ldq, k, ldk, v, ldv)
		return
	}
	parts := s.parts()
	Parallel(s.B*s.K*parts, func(task int) {
		b, g, part := task/parts/s.K, task/parts%s.K, task%parts
		var w attnWork[T]
		w.layout(&s)
		defer release(w.memory)
		key := b * s.rows()
		w.packPanels(w.keysT, k[key*ldk+g*s.D:], ldk, s.keys(), s.D)
		w.copyRows(w.values, w.width, v[key*ldv+g*s.D:], ldv, s.keys(), s.D)
		for n := part; n < s.blocks(); n += parts {
			h, i0, i1 := s.block(g, n)
			token, row := b*s.T+i0, (b*s.H+h)*s.T+i0
			w.copyRows(w.q, attnLd, q[token*ldq+h*s.D:], ldq, i1-i0, s.D)
			w.forward(&s, s.mask(b), s.Past+i0, row, i1-i0)
			if lse != nil {
				w.logSumExp(lse[row:], i1-i0)
			}
			w.copyRows(o[token*ldo+h*s.D:], ldo, w.acc, attnLd, i1-i0, s.D)
		}
	})
}

// forward computes into acc the attention of the m queries in tile q, which
// begin at position pos and are rows row, row+1, ... of the (B,H,T) rows. It
// leaves their maxima and sums.
func (w *attnWork[T]) forward(s *AttentionShape, mask []bool, pos, row, m int) {
	factor := T(s.factor())
	w.start()
	first := s.firstTile(pos) // all rows of the block see keys of it
	for j0 := first; j0 < pos+m; j0 += attnKeys {
		for r := 0; r < m; r += attnStrip {
			rows := min(attnStrip, m-r)
			lo, hi := s.span(pos, r, r+rows, j0, attnKeys)
			if lo >= hi {
				continue
			}
			a, e := lo/attnPanel*attnPanel, roundUp(hi, 16)
			w.scores(s, r, rows, j0, a, e)
			w.hide(s, mask, pos, r, rows, j0, a, e)
			p, acc := w.p[r*attnLd:], w.acc[r*attnLd:]
			w.loops.softmax(p[a:], rows, e-a, factor, w.max[r:], w.sum[r:], w.fall[r:])
			w.drop(s, w.p, r, rows, row+r, j0, a, e)
			later := j0 > first // acc holds the sums over earlier tiles
			if later {
				w.loops.scaleRows(acc, rows, w.width, w.fall[r:])
			}
			w.mulRows(acc, p[lo:], w.values[(j0+lo)*w.width:], w.width, attnPanel, rows, w.width, hi-lo, later)
		}
	}
	w.normalize(m)
}

// start makes the running maxima and sums those of no key.
func (w *attnWork[T]) start() {
	for r := range w.max {
		w.max[r], w.sum[r] = lowest[T](), 0
	}
}

// normalize divides the first m rows of acc by their sums.
func (w *attnWork[T]) normalize(m int) {
	for r, sum := range w.sum[:m] {
		w.fall[r] = 1 / sum
		if sum == 0 { // no key to attend to
			w.fall[r] = 0
		}
	}
	for r := 0; r < m; r += attnStrip {
		w.loops.scaleRows(w.acc[r*attnLd:], min(attnStrip, m-r), w.width, w.fall[r:])
	}
}

// logSumExp writes the log-sum-exp of the first m rows.
func (w *attnWork[T]) logSumExp(lse []T, m int) {
	for r, sum := range w.sum[:m] {
		lse[r] = w.max[r] + log(sum)
		if sum == 0 {
			lse[r] = 0
		}
	}
}
