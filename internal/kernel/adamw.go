package kernel

import "math"

// AdamWParams are the scalars of one AdamW step, as the solver has worked
// them out from the hyperparameters and the step number.
type AdamWParams struct {
	Decay        float64 // factor on w before the update: 1 - lr lambda
	Beta1, Beta2 float64
	GradScale    float64 // factor on the gradient: the clip, the loss scale
	StepSize     float64 // lr / (1 - beta1^t)
	InvSqrtBC2   float64 // 1 / sqrt(1 - beta2^t)
	Eps          float64
}

// adamWScalars are AdamWParams in the type of the tensors.
type adamWScalars[T Float] struct {
	decay, beta1, omBeta1, beta2, omBeta2, gradScale, stepSize, invSqrtBC2, eps T
}

// AdamW is one step of Adam with decoupled weight decay (Loshchilov and Hutter
// 2019, arXiv:1711.05101, algorithm 2) in one pass over memory:
//
//	g' = GradScale g
//	m = Beta1 m + (1-Beta1) g'
//	v = Beta2 v + (1-Beta2) g'^2
//	w = Decay w - StepSize m / (sqrt(v) InvSqrtBC2 + Eps)
//
// For float32, with the m, v and w from before the step, the errors are at most
//
//	m: 6 M 2^-24,  M = Beta1 |m| + (1-Beta1) |g'|
//	v: 8 v' 2^-24, v' after the step
//	w: (4 |Decay w| + 20 StepSize M / (sqrt(v') InvSqrtBC2 + Eps)) 2^-24
//
// Assembly may take denormal numbers for 0 where that is less than the rounding
// error of the update.
//
// With vmax, which may be nil, sqrt(v) gives way to sqrt(vmax), the running
// maximum of v (AMSGrad: Reddi et al. 2018, arXiv:1904.09237).
func AdamW[T Float](w, g, m, v, vmax []T, p AdamWParams) {
	checkLen("AdamW", len(w), g, m, v)
	s := &adamWScalars[T]{
		decay: T(p.Decay),
		beta1: T(p.Beta1), omBeta1: T(1 - p.Beta1),
		beta2: T(p.Beta2), omBeta2: T(1 - p.Beta2),
		gradScale: T(p.GradScale), stepSize: T(p.StepSize),
		invSqrtBC2: T(p.InvSqrtBC2), eps: T(p.Eps),
	}
	if vmax == nil {
		loop := loopsOf[T]().adamW
		ParallelRange(len(w), grain, func(lo, hi int) { loop(w[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], s) })
		return
	}
	checkLen("AdamW vmax", len(w), vmax)
	ParallelRange(len(w), grain, func(lo, hi int) {
		amsGradLoop(w[lo:hi], g[lo:hi], m[lo:hi], v[lo:hi], vmax[lo:hi], s)
	})
}

func adamWLoop[T Float](w, g, m, v []T, s *adamWScalars[T]) { amsGradLoop(w, g, m, v, nil, s) }

// amsGradLoop is one step, with the running maximum unless vmax is nil.
func amsGradLoop[T Float](w, g, m, v, vmax []T, s *adamWScalars[T]) {
	// In registers: for all the compiler knows, w may overlap s.
	decay, gradScale, stepSize, invSqrtBC2, eps := s.decay, s.gradScale, s.stepSize, s.invSqrtBC2, s.eps
	beta1, omBeta1, beta2, omBeta2 := s.beta1, s.omBeta1, s.beta2, s.omBeta2
	g, m, v = g[:len(w)], m[:len(w)], v[:len(w)]
	for i := range w {
		grad := gradScale * g[i]
		first := beta1*m[i] + omBeta1*grad
		second := beta2*v[i] + omBeta2*(grad*grad)
		m[i], v[i] = first, second
		if vmax != nil {
			vmax[i] = max(vmax[i], second)
			second = vmax[i]
		}
		denom := T(math.Sqrt(float64(second)))*invSqrtBC2 + eps
		w[i] = decay*w[i] - stepSize*(first/denom)
	}
}
