package kernel

// loops is one implementation of the inner loops: each entry works on one
// goroutine over slices whose lengths the caller has checked: those after the
// first may be longer than it. The portable entries, named after the field with
// the suffix Loop, are the specification of the assembly that replaces them.
type loops[T Float] struct {
	add   func(dst, a, b []T)
	scale func(dst []T, alpha T, x []T)
	axpy  func(dst []T, alpha T, x []T)

	sum        func(x []T) float64
	sumSquares func(x []T) float64
	maxAbs     func(x []T) T

	exp              func(dst, x []T)
	geluTanh         func(y, x []T)
	geluTanhBackward func(dx, x, dy []T)
	geluErf          func(y, x []T)
	geluErfBackward  func(dx, x, dy []T)
	silu             func(y, x []T)
	siluBackward     func(dx, x, dy []T)
	swiglu           func(y, gate, up []T)
	swigluBackward   func(dgate, dup, gate, up, dy []T)
	geglu            func(y, gate, up []T)
	gegluBackward    func(dgate, dup, gate, up, dy []T)
	softCap          func(y, x []T, cap T)
	softCapBackward  func(dx, y, dy []T, cap T)

	sumSquaresAbout func(x []T, mean T) float64
	normalize       func(y, x, gain, bias []T, mean, rstd T)
	normGradSums    func(dy, x, gain []T, mean, rstd T) (sumE, sumEH float64)
	normGrad        func(dx, residual, dgain, dbias, dy, x, gain []T, mean, rstd, meanE, meanEH T)

	max      func(x []T) T
	sumExp   func(x []T, shift T) float64
	expScale func(dst, x []T, shift, scale T)

	adamW   func(w, g, m, v []T, s *adamWScalars[T])
	dropout func(y, x []T, d *dropoutMask[T], block uint64)
}

// portableLoops is the implementation in Go.
func portableLoops[T Float]() loops[T] {
	return loops[T]{
		add:   addLoop[T],
		scale: scaleLoop[T],
		axpy:  axpyLoop[T],

		sum:        sumLoop[T],
		sumSquares: sumSquaresLoop[T],
		maxAbs:     maxAbsLoop[T],

		exp:              expLoop[T],
		geluTanh:         geluTanhLoop[T],
		geluTanhBackward: geluTanhBackwardLoop[T],
		geluErf:          geluErfLoop[T],
		geluErfBackward:  geluErfBackwardLoop[T],
		silu:             siluLoop[T],
		siluBackward:     siluBackwardLoop[T],
		swiglu:           swigluLoop[T],
		swigluBackward:   swigluBackwardLoop[T],
		geglu:            gegluLoop[T],
		gegluBackward:    gegluBackwardLoop[T],
		softCap:          softCapLoop[T],
		softCapBackward:  softCapBackwardLoop[T],

		sumSquaresAbout: sumSquaresAboutLoop[T],
		normalize:       normalizeLoop[T],
		normGradSums:    normGradSumsLoop[T],
		normGrad:        normGradLoop[T],

		max:      maxLoop[T],
		sumExp:   sumExpLoop[T],
		expScale: expScaleLoop[T],

		adamW:   adamWLoop[T],
		dropout: dropoutLoop[T],
	}
}

// float32 has an implementation per instruction set, float64 this one.
var loops64 = portableLoops[float64]()

// loopsOf is the best implementation that the processor has.
func loopsOf[T Float]() *loops[T] {
	if l, ok := any(&loops64).(*loops[T]); ok {
		return l
	}
	return any(&loops32[currentLevel()]).(*loops[T])
}
