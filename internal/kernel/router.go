package kernel

// Router chooses K of Experts experts for each of Rows tokens by the logits of
// a router (Shazeer et al. 2017, arXiv:1701.06538). The experts of a token are
// those of its K largest logits; of equal logits the one of lower index counts
// as larger, and NaN as larger than any number, so that it shows in the gates.
type Router[T Float] struct {
	Rows, Experts, K int
	// Renormalize makes the gates of a token sum to 1. It is then the softmax
	// over the K logits (Mixtral, Jiang et al. 2024, arXiv:2401.04088, section
	// 2.1), else the softmax over all, cut to K (Grok-1).
	Renormalize bool
}

// Forward sets probs (Rows, Experts) to the softmax of each row of logits,
// chosen (Rows, K) to the experts in falling order of their logits, and gates
// (Rows, Experts) to the weights of the chosen experts, 0 elsewhere.
func (r Router[T]) Forward(gates, probs []T, chosen []int32, logits []T) {
	checkLen("Router", r.Rows*r.Experts, gates)
	Softmax(probs, logits, r.Rows, r.Experts)
	TopK(chosen, logits, r.Rows, r.Experts, r.K)
	ParallelRange(r.Rows, rowGrain(r.Experts), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			gates, probs, chosen := row(gates, n, r.Experts), row(probs, n, r.Experts), row(chosen, n, r.K)
			total := r.total(probs, chosen)
			clear(gates)
			for _, e := range chosen {
				gates[e] = probs[e] / total
			}
		}
	})
}

// Backward sets dlogits to the gradient of Forward, given its probs and
// chosen. With g the gates and p the probabilities of a token, and dot the sum
// of g dgates over its chosen experts,
//
//	dlogits[e] = g[e] (dgates[e] - dot)              of a chosen expert
//	dlogits[e] = 0 if renormalized, else -p[e] dot   of another
//
// dlogits must not be dgates.
func (r Router[T]) Backward(dlogits, dgates, probs []T, chosen []int32) {
	checkLen("RouterBackward", r.Rows*r.Experts, dlogits, dgates, probs)
	checkLen("RouterBackward chosen", r.Rows*r.K, chosen)
	ParallelRange(r.Rows, rowGrain(r.Experts), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			r.backwardRow(row(dlogits, n, r.Experts), row(dgates, n, r.Experts), row(probs, n, r.Experts), row(chosen, n, r.K))
		}
	})
}

func (r Router[T]) backwardRow(dlogits, dgates, probs []T, chosen []int32) {
	total := r.total(probs, chosen)
	var dot T
	for _, e := range chosen {
		dot += probs[e] / total * dgates[e]
	}
	if r.Renormalize {
		clear(dlogits)
	} else {
		for e, p := range probs {
			dlogits[e] = -p * dot
		}
	}
	for _, e := range chosen {
		dlogits[e] = probs[e] / total * (dgates[e] - dot)
	}
}

// total is what the probabilities of the chosen experts are divided by.
func (r Router[T]) total(probs []T, chosen []int32) T {
	if !r.Renormalize {
		return 1
	}
	var sum T
	for _, e := range chosen {
		sum += probs[e]
	}
	return sum
}

// TopK sets each row of indices (rows, k) to where the k largest of the row of
// x (rows, cols) are, in falling order; Router says how ties and NaN count.
func TopK[T Float](indices []int32, x []T, rows, cols, k int) {
	checkLen("TopK", rows*cols, x)
	checkLen("TopK indices", rows*k, indices)
	if k > cols {
		panic("kernel: TopK: k is larger than the row")
	}
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			topK(row(indices, r, k), row(x, r, cols))
		}
	})
}

// topK inserts each element of x, in its order, among the largest before it.
func topK[T Float](indices []int32, x []T) {
	found := 0
	for j, v := range x {
		i := found
		for ; i > 0 && ranksAbove(v, x[indices[i-1]]); i-- {
			if i < len(indices) {
				indices[i] = indices[i-1]
			}
		}
		if i < len(indices) {
			indices[i] = int32(j)
			found = min(found+1, len(indices))
		}
	}
}

func ranksAbove[T Float](a, b T) bool { return a > b || a != a && b == b }

// BalanceBackward sets dlogits = scale p (f - sum(f p)) with p the softmax of
// each row of logits (rows, cols): the gradient of scale times the sum of f p
// over all rows, the same weights f (cols) for each.
func BalanceBackward[T Float](dlogits, logits, f []T, scale T, rows, cols int) {
	checkLen("BalanceBackward f", cols, f)
	p := dlogits
	Softmax(p, logits, rows, cols)
	ParallelRange(rows, rowGrain(cols), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			p := row(p, r, cols)
			var mean T
			for e, p := range p {
				mean += f[e] * p
			}
			for e := range p {
				p[e] *= scale * (f[e] - mean)
			}
		}
	})
}
