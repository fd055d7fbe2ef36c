//go:build amd64 && !purego

package kernel

var loops32 = [...]loops[float32]{
	portable: portableLoops[float32](),
	avx2:     loopsAVX2(),
	avx512:   loopsAVX512(),
}

func loopsAVX2() loops[float32] {
	return loops[float32]{
		add:   addAVX2,
		scale: scaleAVX2,
		axpy:  axpyAVX2,

		sum:        sumAVX2,
		sumSquares: sumSquaresAVX2,
		maxAbs:     maxAbsAVX2,

		exp:              expAVX2,
		geluTanh:         geluTanhAVX2,
		geluTanhBackward: geluTanhBackwardAVX2,
		geluErf:          geluErfAVX2,
		geluErfBackward:  geluErfBackwardAVX2,
		silu:             siluAVX2,
		siluBackward:     siluBackwardAVX2,
		swiglu:           swigluAVX2,
		swigluBackward:   swigluBackwardAVX2,
		geglu:            gegluAVX2,
		gegluBackward:    gegluBackwardAVX2,
		softCap:          softCapAVX2,
		softCapBackward:  softCapBackwardAVX2,

		sumSquaresAbout: sumSquaresAboutAVX2,
		normalize:       normalizeAVX2,
		normGradSums:    normGradSumsAVX2,
		normGrad:        normGradAVX2,

		max:      maxAVX2,
		sumExp:   sumExpAVX2,
		expScale: expScaleAVX2,

		adamW:   adamW(adamWAVX2),
		dropout: dropout(dropoutAVX2),
	}
}

func loopsAVX512() loops[float32] {
	return loops[float32]{
		add:   addAVX512,
		scale: scaleAVX512,
		axpy:  axpyAVX512,

		sum:        sumAVX512,
		sumSquares: sumSquaresAVX512,
		maxAbs:     maxAbsAVX512,

		exp:              expAVX512,
		geluTanh:         geluTanhAVX512,
		geluTanhBackward: geluTanhBackwardAVX512,
		geluErf:          geluErfAVX512,
		geluErfBackward:  geluErfBackwardAVX512,
		silu:             siluAVX512,
		siluBackward:     siluBackwardAVX512,
		swiglu:           swigluAVX512,
		swigluBackward:   swigluBackwardAVX512,
		geglu:            gegluAVX512,
		gegluBackward:    gegluBackwardAVX512,
		softCap:          softCapAVX512,
		softCapBackward:  softCapBackwardAVX512,

		sumSquaresAbout: sumSquaresAboutAVX512,
		normalize:       normalizeAVX512,
		normGradSums:    normGradSumsAVX512,
		normGrad:        normGradAVX512,

		max:      maxAVX512,
		sumExp:   sumExpAVX512,
		expScale: expScaleAVX512,

		adamW:   adamW(adamWAVX512),
		dropout: dropout(dropoutAVX512),
	}
}

// adamW passes the scalars as an array, in the order of their struct, and lets
// denormal numbers be 0 where that does no harm. The moments of a parameter
// that gets no gradient, such as the embedding of a token that does not occur,
// decay into denormals, which some processors compute a hundred times slower.
func adamW(asm func(w, g, m, v []float32, s *float32, mode uint32)) func(w, g, m, v []float32, s *adamWScalars[float32]) {
	const flushToZero, denormalsAreZero = 1 << 15, 1 << 6 // of MXCSR
	return func(w, g, m, v []float32, s *adamWScalars[float32]) {
		var mode uint32
		if s.ordinary() {
			mode = flushToZero | denormalsAreZero
		}
		asm(w, g, m, v, &s.decay, mode)
	}
}

// ordinary says that denormal numbers cannot matter: those of v are below the
// rounding error of sqrt(v) + eps, those of m move w by less than 1e-26
// stepSize, and no scalar is denormal or makes a denormal gradient large.
func (s *adamWScalars[T]) ordinary() bool {
	scale := max(s.gradScale, -s.gradScale)
	return s.eps >= 1e-11 && 1e-10 <= scale && scale <= 1e10 && s.stepSize >= 1e-30
}

// dropout has assembly for whole groups, and passes the mask as an array of
// words, in the order of its struct.
func dropout(asm func(y, x []float32, d *uint32, block uint64)) func(y, x []float32, d *dropoutMask[float32], block uint64) {
	return func(y, x []float32, d *dropoutMask[float32], block uint64) {
		n := len(y) / dropoutGroup * dropoutGroup
		asm(y[:n], x, &d.key[0], block)
		dropoutLoop(y[n:], x[n:], d, block+uint64(n/dropoutGroup*dropoutLanes))
	}
}
