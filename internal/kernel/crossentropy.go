package kernel

// CrossEntropy says how SoftmaxCrossEntropy and its gradient treat a batch.
type CrossEntropy[T Float] struct {
	Rows, Vocab int
	// Ignore is the target of rows that do not count: their loss and gradient
	// are 0. Use a negative number if every row counts.
	Ignore int32
	// ZLoss weighs the penalty lse^2 that keeps the logits' normalizer near 1
	// (Chowdhery et al. 2022, arXiv:2204.02311, section 5); 0 is none.
	ZLoss T
	// Scale multiplies the gradient: the loss's own gradient, divided by the
	// number of rows if the loss is a mean. It does not touch the loss.
	Scale T
}

// Forward sets, for each row of logits (Rows, Vocab),
//
//	lse = log(sum(e^logits)),  loss = lse - logits[target] + ZLoss lse^2
//
// For float32 the error of lse is at most 2e-7 (1 + |lse|).
func (c CrossEntropy[T]) Forward(loss, lse, logits []T, targets []int32) {
	c.check(loss, lse, logits, targets)
	l := loopsOf[T]()
	ParallelRange(c.Rows, rowGrain(c.Vocab), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			c.forwardRow(l, loss, lse, logits, targets, r)
		}
	})
}

// Backward sets dlogits = Scale ((1 + 2 ZLoss lse) softmax(logits) - onehot(target))
// from the lse of Forward. dlogits may be logits.
func (c CrossEntropy[T]) Backward(dlogits, logits, lse []T, targets []int32) {
	c.check(dlogits, lse, logits, targets)
	checkLen("CrossEntropy dlogits", c.Rows*c.Vocab, dlogits)
	l := loopsOf[T]()
	ParallelRange(c.Rows, rowGrain(c.Vocab), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			c.backwardRow(l, dlogits, logits, lse, targets, r)
		}
	})
}

// ForwardBackward is Forward and Backward in one pass over memory, for losses
// whose Scale is known beforehand. dlogits may be logits.
func (c CrossEntropy[T]) ForwardBackward(loss, lse, dlogits, logits []T, targets []int32) {
	c.check(loss, lse, logits, targets)
	checkLen("CrossEntropy dlogits", c.Rows*c.Vocab, dlogits)
	l := loopsOf[T]()
	ParallelRange(c.Rows, rowGrain(c.Vocab), func(lo, hi int) {
		for r := lo; r < hi; r++ {
			c.forwardRow(l, loss, lse, logits, targets, r)
			c.backwardRow(l, dlogits, logits, lse, targets, r)
		}
	})
}

func (c CrossEntropy[T]) check(perRow, lse, logits []T, targets []int32) {
	checkLen("CrossEntropy", c.Rows, perRow, lse)
	checkLen("CrossEntropy logits", c.Rows*c.Vocab, logits)
	checkLen("CrossEntropy targets", c.Rows, targets)
	for _, t := range targets[:c.Rows] {
		if t != c.Ignore && uint(t) >= uint(c.Vocab) {
			panic("kernel: CrossEntropy: target outside the vocabulary")
		}
	}
}

func (c CrossEntropy[T]) forwardRow(l *loops[T], loss, lse, logits []T, targets []int32, r int) {
	x := row(logits, r, c.Vocab)
	z := l.logSumExp(x)
	lse[r], loss[r] = T(z), 0
	if t := targets[r]; t != c.Ignore {
		loss[r] = T(z - float64(x[t]) + float64(c.ZLoss)*z*z)
	}
}

func (c CrossEntropy[T]) backwardRow(l *loops[T], dlogits, logits, lse []T, targets []int32, r int) {
	dx, t := row(dlogits, r, c.Vocab), targets[r]
	if t == c.Ignore {
		clear(dx)
		return
	}
	l.expScale(dx, row(logits, r, c.Vocab), lse[r], c.Scale*(1+2*c.ZLoss*lse[r]))
	dx[t] -= c.Scale
}
