package kernel

// SiLU sets y = x sigmoid(x) (Elfwing et al. 2017, arXiv:1702.03118).
// y may be x.
func SiLU[T Float](y, x []T) {
	checkLen("SiLU", len(y), x)
	loop := loopsOf[T]().silu
	ParallelRange(len(y), grain, func(lo, hi int) { loop(y[lo:hi], x[lo:hi]) })
}

// SiLUBackward sets dx = dy dSiLU/dx. dx may be dy or x.
func SiLUBackward[T Float](dx, x, dy []T) {
	checkLen("SiLUBackward", len(dx), x, dy)
	loop := loopsOf[T]().siluBackward
	ParallelRange(len(dx), grain, func(lo, hi int) { loop(dx[lo:hi], x[lo:hi], dy[lo:hi]) })
}

// SwiGLU sets y = SiLU(gate) up (Shazeer 2020, arXiv:2002.05202).
// y may be gate or up.
func SwiGLU[T Float](y, gate, up []T) { gated("SwiGLU", loopsOf[T]().swiglu, y, gate, up) }

// SwiGLUBackward sets dgate and dup to the gradients of SwiGLU. Each may be
// dy; dgate may be gate and dup may be up.
func SwiGLUBackward[T Float](dgate, dup, gate, up, dy []T) {
	gatedBackward("SwiGLUBackward", loopsOf[T]().swigluBackward, dgate, dup, gate, up, dy)
}

// GeGLU sets y = GELUTanh(gate) up (Shazeer 2020, arXiv:2002.05202).
// y may be gate or up.
func GeGLU[T Float](y, gate, up []T) { gated("GeGLU", loopsOf[T]().geglu, y, gate, up) }

// GeGLUBackward sets dgate and dup to the gradients of GeGLU. Each may be
// dy; dgate may be gate and dup may be up.
func GeGLUBackward[T Float](dgate, dup, gate, up, dy []T) {
	gatedBackward("GeGLUBackward", loopsOf[T]().gegluBackward, dgate, dup, gate, up, dy)
}

func gated[T Float](name string, loop func(y, gate, up []T), y, gate, up []T) {
	checkLen(name, len(y), gate, up)
	ParallelRange(len(y), grain, func(lo, hi int) { loop(y[lo:hi], gate[lo:hi], up[lo:hi]) })
}

func gatedBackward[T Float](name string, loop func(dgate, dup, gate, up, dy []T), dgate, dup, gate, up, dy []T) {
	checkLen(name, len(dgate), dup, gate, up, dy)
	ParallelRange(len(dgate), grain, func(lo, hi int) {
		loop(dgate[lo:hi], dup[lo:hi], gate[lo:hi], up[lo:hi], dy[lo:hi])
	})
}

// siluFlat is where the derivative of SiLU is 0 or 1 to 1e-36; x is clamped
// there for it so that nothing overflows.
const siluFlat = 87

// siluGrad is s + x s (1-s) with s = sigmoid(x).
func siluGrad[T Float](x T) T {
	x = min(max(x, -siluFlat), siluFlat)
	s, c := sigmoidPair(x)
	return s + x*s*c
}

func siluLoop[T Float](y, x []T) {
	x = x[:len(y)]
	for i, v := range x {
		y[i] = v * sigmoid(v)
	}
}

func siluBackwardLoop[T Float](dx, x, dy []T) {
	x, dy = x[:len(dx)], dy[:len(dx)]
	for i, v := range x {
		dx[i] = dy[i] * siluGrad(v)
	}
}

func swigluLoop[T Float](y, gate, up []T) {
	gate, up = gate[:len(y)], up[:len(y)]
	for i, v := range gate {
		y[i] = v * sigmoid(v) * up[i]
	}
}

func swigluBackwardLoop[T Float](dgate, dup, gate, up, dy []T) {
	dup, gate, up, dy = dup[:len(dgate)], gate[:len(dgate)], up[:len(dgate)], dy[:len(dgate)]
	for i, v := range gate {
		d := dy[i]
		dgate[i], dup[i] = d*up[i]*siluGrad(v), d*v*sigmoid(v)
	}
}

func gegluLoop[T Float](y, gate, up []T) {
	gate, up = gate[:len(y)], up[:len(y)]
	for i, v := range gate {
		y[i] = geluTanh(v) * up[i]
	}
}

func gegluBackwardLoop[T Float](dgate, dup, gate, up, dy []T) {
	dup, gate, up, dy = dup[:len(dgate)], gate[:len(dgate)], up[:len(dgate)], dy[:len(dgate)]
	for i, v := range gate {
		d := dy[i]
		dgate[i], dup[i] = d*up[i]*geluTanhGrad(v), d*geluTanh(v)
	}
}
