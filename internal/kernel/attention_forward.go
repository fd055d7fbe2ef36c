package kernel

import "math"

// AttentionForward computes o (B,T,H*D) = causal attention of q (B,T,H*D) over
// k and v (B,Past+T,K*D), and lse (B,H,T), the log-sum-exp of each query's
// logits, which the backward pass needs (0 where a query has no key); lse may
// be nil.
//
// Keys are streamed past blocks of queries with a running maximum (Dao et al.
// 2022, arXiv:2205.14135): no (T,T) matrix exists, and what the mask hides is
// skipped, so that a window W costs O(T*W).
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
	parts := s.parts()
	Parallel(s.B*s.K*parts, func(task int) {
		b, g, part := task/parts/s.K, task/parts%s.K, task%parts
		var w attnWork[T]
		w.layout(&s)
		defer release(w.memory)
		key := b * s.rows()
		packPanels(w.keysT, k[key*ldk+g*s.D:], ldk, s.keys(), s.D)
		packRows(w.values, w.width, v[key*ldv+g*s.D:], ldv, s.keys(), s.D)
		for n := part; n < s.blocks(); n += parts {
			h, i0, i1 := s.block(g, n)
			token, row := b*s.T+i0, (b*s.H+h)*s.T+i0
			packRows(w.q, attnLd, q[token*ldq+h*s.D:], ldq, i1-i0, s.D)
			w.forward(&s, s.mask(b), s.Past+i0, row, i1-i0)
			if lse != nil {
				w.logSumExp(lse[row:], i1-i0)
			}
			packRows(o[token*ldo+h*s.D:], ldo, w.acc, attnLd, i1-i0, s.D)
		}
	})
}

// forward computes into acc the attention of the m queries in tile q, which
// begin at position pos and are rows row, row+1, ... of the (B,H,T) rows. It
// leaves their maxima and sums.
func (w *attnWork[T]) forward(s *AttentionShape, mask []bool, pos, row, m int) {
	factor := T(s.factor())
	for r := range w.max {
		w.max[r], w.sum[r] = lowest[T](), 0
	}
	for j0 := s.firstTile(pos); j0 < pos+m; j0 += attnKeys {
		for r := 0; r < m; r += attnStrip {
			lo, hi := s.span(pos, r, min(r+attnStrip, m), j0, attnKeys)
			if lo >= hi {
				continue
			}
			a, e := lo/attnPanel*attnPanel, roundUp(hi, 16)
			w.scores(s, r, j0, a, e)
			w.hide(s, mask, pos, r, j0, a, e)
			p, acc := w.p[r*attnLd:], w.acc[r*attnLd:]
			attnSoftmax(p[a:], e-a, factor, w.max[r:], w.sum[r:], w.fall[r:])
			w.drop(s, w.p, r, row+r, j0, a, e)
			later := s.firstKey(pos+r) < j0 // acc holds the sums over earlier tiles
			if later {
				attnScaleRows(acc, w.width, w.fall[r:])
			}
			attnMulRows(acc, p[lo:], w.values[(j0+lo)*w.width:], w.width, attnPanel, w.width, hi-lo, later)
		}
	}
	for r := range w.fall[:m] {
		w.fall[r] = 1 / w.sum[r]
		if w.sum[r] == 0 { // no key to attend to
			w.fall[r] = 0
		}
	}
	for r := 0; r < m; r += attnStrip {
		attnScaleRows(w.acc[r*attnLd:], w.width, w.fall[r:])
	}
}

// logSumExp writes the log-sum-exp of the first m rows.
func (w *attnWork[T]) logSumExp(lse []T, m int) {
	for r, sum := range w.sum[:m] {
		lse[r] = w.max[r] + T(math.Log(float64(sum)))
		if sum == 0 {
			lse[r] = 0
		}
	}
}
