package kernel

// Dispatch brings tokens to their experts and back. Each pair of a token and
// an expert whose gate is not zero has a slot, a row of the matrices that the
// experts work on; slots are in the order of experts, and of tokens within an
// expert. So an expert works on consecutive rows, and only on those of its
// tokens. Its memory is reused by the next Sort.
type Dispatch[T Float] struct {
	tokens, experts int
	first           []int   // (E+1) the slots of expert e are first[e] to first[e+1]
	token, expert   []int32 // (S) of each slot
	gate            []T     // (S)
	bounds          []int   // (N+1) the slots of token n are ofToken[bounds[n]:bounds[n+1]]
	ofToken         []int32 // (S) slots in the order of tokens
}

// Sort assigns the slots by gates (tokens, experts).
func (d *Dispatch[T]) Sort(gates []T, tokens, experts int) {
	checkLen("Dispatch", tokens*experts, gates)
	d.tokens, d.experts = tokens, experts
	d.bounds = resize(d.bounds, tokens+1)
	// One element ahead of where they belong, the starts of the experts serve
	// as the next free slots below, and have moved into place when all are used.
	next := resize(d.first, experts+2)
	clear(next)
	slots := 0
	for n := range tokens {
		d.bounds[n] = slots
		for e, g := range row(gates, n, experts) {
			if g != 0 {
				next[e+2]++
				slots++
			}
		}
	}
	d.bounds[tokens] = slots
	for e := range experts {
		next[e+2] += next[e+1]
	}
	d.token, d.expert = resize(d.token, slots), resize(d.expert, slots)
	d.gate, d.ofToken = resize(d.gate, slots), resize(d.ofToken, slots)
	i := 0
	for n := range tokens {
		for e, g := range row(gates, n, experts) {
			if g == 0 {
				continue
			}
			s := next[e+1]
			next[e+1]++
			d.token[s], d.expert[s], d.gate[s] = int32(n), int32(e), g
			d.ofToken[i] = int32(s)
			i++
		}
	}
	d.first = next[:experts+1]
}

// Slots is the number of slots, S.
func (d *Dispatch[T]) Slots() int { return len(d.token) }

// Range gives the slots of an expert: lo to hi-1.
func (d *Dispatch[T]) Range(expert int) (lo, hi int) { return d.first[expert], d.first[expert+1] }

// Gather sets each row of slots (S, cols) to its token's row of x
// (tokens, cols).
func (d *Dispatch[T]) Gather(slots, x []T, cols int) { Embedding(slots, x, d.token, cols) }

// Combine sets each row of y (tokens, cols) to the sum of its token's rows of
// slots (S, cols), each times its gate if weighted, in the order of experts.
func (d *Dispatch[T]) Combine(y, slots []T, weighted bool, cols int) {
	checkLen("Combine", d.tokens*cols, y)
	checkLen("Combine slots", d.Slots()*cols, slots)
	axpy := loopsOf[T]().axpy
	ParallelRange(d.tokens, rowGrain(cols), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			y := row(y, n, cols)
			clear(y)
			for _, s := range d.ofToken[d.bounds[n]:d.bounds[n+1]] {
				w := T(1)
				if weighted {
					w = d.gate[s]
				}
				axpy(y, w, row(slots, int(s), cols))
			}
		}
	})
}

// Weigh multiplies each row of slots (S, cols) by its gate.
func (d *Dispatch[T]) Weigh(slots []T, cols int) {
	checkLen("Weigh", d.Slots()*cols, slots)
	scale := loopsOf[T]().scale
	ParallelRange(d.Slots(), rowGrain(cols), func(lo, hi int) {
		for s := lo; s < hi; s++ {
			scale(row(slots, s, cols), d.gate[s], row(slots, s, cols))
		}
	})
}

// GateGradients sets dgates (tokens, experts) to the inner products of the
// rows of a and b (S, cols) of each slot, 0 where there is no slot.
func (d *Dispatch[T]) GateGradients(dgates, a, b []T, cols int) {
	checkLen("GateGradients", d.tokens*d.experts, dgates)
	checkLen("GateGradients slots", d.Slots()*cols, a, b)
	ParallelRange(d.tokens, rowGrain(cols), func(lo, hi int) {
		for n := lo; n < hi; n++ {
			dgates := row(dgates, n, d.experts)
			clear(dgates)
			for _, s := range d.ofToken[d.bounds[n]:d.bounds[n+1]] {
				dgates[d.expert[s]] = T(innerProduct(row(a, int(s), cols), row(b, int(s), cols)))
			}
		}
	})
}

// innerProduct is summed in float64, in four sums so that the additions need
// not wait for one another.
func innerProduct[T Float](a, b []T) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += float64(a[i]) * float64(b[i])
		s1 += float64(a[i+1]) * float64(b[i+1])
		s2 += float64(a[i+2]) * float64(b[i+2])
		s3 += float64(a[i+3]) * float64(b[i+3])
	}
	for ; i < len(a); i++ {
		s0 += float64(a[i]) * float64(b[i])
	}
	return (s0 + s1) + (s2 + s3)
}

// resize is x with n elements of any content, made anew if it had fewer.
func resize[E any](x []E, n int) []E {
	if cap(x) < n {
		return make([]E, n)
	}
	return x[:n]
}
