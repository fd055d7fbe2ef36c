package kernel

// AttentionBackward computes the gradients dq (B,T,H*D), dk and dv
// (B,Past+T,K*D) of AttentionForward from the gradient do of its output o and
// from what it read and returned. The probabilities are computed again from
// lse, tile by tile. With p the probabilities and do.v their gradient,
//
//	dv_j = sum_i p_ij do_i        ds_ij = p_ij (do_i.v_j - o_i.do_i)
//	dq_i = Scale sum_j ds_ij k_j  dk_j = Scale sum_i ds_ij q_i
//
// lse is rounded, which makes the probabilities wrong by |lse| 2^-24 in float32,
// of no consequence for logits of the usual size.
//
// A task owns the query blocks of one kv head, or a fixed share of them; then
// dk and dv are summed over the shares in order.
func AttentionBackward[T Float](s AttentionShape, dq []T, lddq int, dk []T, lddk int, dv []T, lddv int,
	do []T, lddo int, o []T, ldo int, lse, q []T, ldq int, k []T, ldk int, v []T, ldv int) {
	s.check()
	s.checkRows(len(dq), s.B*s.T, lddq, s.H)
	s.checkRows(len(dk), s.kvRows(), lddk, s.K)
	s.checkRows(len(dv), s.kvRows(), lddv, s.K)
	s.checkRows(len(do), s.B*s.T, lddo, s.H)
	s.checkRows(len(o), s.B*s.T, ldo, s.H)
	s.checkRows(len(q), s.B*s.T, ldq, s.H)
	s.checkRows(len(k), s.kvRows(), ldk, s.K)
	s.checkRows(len(v), s.kvRows(), ldv, s.K)
	if len(lse) < s.B*s.H*s.T {
		panic("kernel: attention: lse is shorter than (B,H,T)")
	}
	if s.B == 0 || s.keys() == 0 {
		return
	}
	parts := s.backwardParts()
	share := s.shareSize()
	var shares []T // (B,K,parts) times dk and dv of a kv head
	if parts > 1 {
		shares = workspace[T](s.B * s.K * parts * share)
		defer release(shares)
	}
	Parallel(s.B*s.K*parts, func(task int) {
		b, g, part := task/parts/s.K, task/parts%s.K, task%parts
		var w attnWork[T]
		w.layoutBackward(&s)
		defer release(w.memory)
		if parts > 1 {
			w.dkv = shares[task*share:][:share]
		}
		clear(w.dkv)
		key := b * s.rows()
		w.packPanels(w.keysT, k[key*ldk+g*s.D:], ldk, s.keys(), s.D)
		w.packPanels(w.valuesT, v[key*ldv+g*s.D:], ldv, s.keys(), s.D)
		w.copyRows(w.keys, w.width, k[key*ldk+g*s.D:], ldk, s.keys(), s.D)
		for n := part; n < s.blocks(); n += parts {
			h, i0, i1 := s.block(g, n)
			m, token, row := i1-i0, b*s.T+i0, (b*s.H+h)*s.T+i0
			w.copyRows(w.q, attnLd, q[token*ldq+h*s.D:], ldq, m, s.D)
			w.copyRows(w.do, attnLd, do[token*lddo+h*s.D:], lddo, m, s.D)
			w.loops.dotRows(w.delta, w.do, attnLd, o[token*ldo+h*s.D:], ldo, m, s.D)
			copy(w.lse[:m], lse[row:])
			w.backward(&s, s.mask(b), s.Past+i0, row, m)
			w.copyRows(dq[token*lddq+h*s.D:], lddq, w.acc, attnLd, m, s.D)
		}
		if parts == 1 {
			w.copyRows(dk[key*lddk+g*s.D:], lddk, w.dkv, 2*w.width, s.keys(), s.D)
			w.copyRows(dv[key*lddv+g*s.D:], lddv, w.dkv[w.width:], 2*w.width, s.keys(), s.D)
		}
	})
	if parts > 1 {
		Parallel(s.B*s.K, func(i int) {
			key, g := i/s.K*s.rows(), i%s.K
			width, mine := s.width(), shares[i*parts*share:]
			sumShares(dk[key*lddk+g*s.D:], lddk, mine, 2*width, share, parts, s.keys(), s.D)
			sumShares(dv[key*lddv+g*s.D:], lddv, mine[width:], 2*width, share, parts, s.keys(), s.D)
		})
	}
}

// backward computes into acc the gradients of the m queries in tile q, which
// begin at position pos and are rows row, row+1, ... of the (B,H,T) rows, and
// adds to dkv those of the keys and values that they attend to.
func (w *attnWork[T]) backward(s *AttentionShape, mask []bool, pos, row, m int) {
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
			if s.SoftCap > 0 {
				w.copyRows(w.capped[r*attnLd+a:], attnLd, w.p[r*attnLd+a:], attnLd, rows, e-a)
			}
			w.hide(s, mask, pos, r, rows, j0, a, e)
			w.scoreGradients(s, row+r, r, rows, j0, a, e)
			later := j0 > first // acc holds the sums over earlier tiles
			w.mulRows(w.acc[r*attnLd:], w.dp[r*attnLd+lo:], w.keys[(j0+lo)*w.width:], w.width, attnPanel, rows, w.width, hi-lo, later)
		}
		w.keyGradients(s, pos, j0, m)
	}
}

// scoreGradients turns the columns [a,e) of the strip of p at row r, scores,
// into probabilities (after dropout), and those of dp into the gradients of
// Scale times the scores, ready for dq and dk.
func (w *attnWork[T]) scoreGradients(s *AttentionShape, row, r, rows, j0, a, e int) {
	n := e - a
	p, dp, capped := w.p[r*attnLd+a:], w.dp[r*attnLd+a:], w.capped[r*attnLd+a:]
	w.mulRows(dp, w.do[r*attnLd:], w.valuesT[(j0+a)*s.D:], attnPanel, attnPanel*s.D, rows, n, s.D, false)
	w.loops.probabilities(p, rows, n, T(s.factor()), w.lse[r:])
	w.drop(s, w.dp, r, rows, row, j0, a, e)
	w.loops.softmaxBackward(dp, p, rows, n, w.delta[r:], T(s.Scale))
	if s.SoftCap > 0 {
		w.loops.tanhBackward(dp, capped, rows, n)
	}
	w.drop(s, w.p, r, rows, row, j0, a, e)
}

// keyGradients adds the products of the tiles p and dp at key j0 to dkv, by
// strips of keys: the rows that see a strip are whole strips of rows, as
// backward computed them.
func (w *attnWork[T]) keyGradients(s *AttentionShape, pos, j0, m int) {
	first, last := 0, 0 // rows [first,last) have computed the columns from c on
	lowest, highest := s.span(pos, 0, m, j0, attnKeys)
	for c := lowest / attnStrip * attnStrip; c < highest; c += attnStrip {
		for first < m {
			if _, hi := s.span(pos, first, min(first+attnStrip, m), j0, attnKeys); hi > c {
				break
			}
			first += attnStrip
		}
		for last < m {
			if lo, _ := s.span(pos, last, last+1, j0, attnKeys); lo >= c+attnStrip {
				break
			}
			last += attnStrip
		}
		rows := min(last, m) - first
		dk := w.dkv[(j0+c)*2*w.width:]
		w.mulCols(dk, 2*w.width, w.dp[first*attnLd+c:], w.q[first*attnLd:], w.width, rows)
		w.mulCols(dk[w.width:], 2*w.width, w.p[first*attnLd+c:], w.do[first*attnLd:], w.width, rows)
	}
}

// sumShares writes the sums of parts shares, each of rows rows of D channels.
func sumShares[T Float](dst []T, ld int, shares []T, ldshare, share, parts, rows, D int) {
	for j := 0; j < rows; j++ {
		sum := dst[j*ld : j*ld+D]
		copy(sum, shares[j*ldshare:])
		for p := 1; p < parts; p++ {
			for d, x := range shares[p*share+j*ldshare:][:D] {
				sum[d] += x
			}
		}
	}
}
