package main

import (
	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/reg"
)

func (v vector) sumSquaresAbout() {
	v.routine("sumSquaresAbout", "(x []float32, mean float32) float64")
	sums, mean := v.sums64(), v.broadcast("mean")
	v.each("x", 2, func(at at) {
		x := at.loadOr("x", mean)
		VSUBPS(mean, x, x)
		v.addSquare(x, sums)
	})
	v.storeSums(sums)
}

func (v vector) normalize() {
	v.routine("normalize", "(y, x, gain, bias []float32, mean, rstd float32)")
	mean, rstd := v.broadcast("mean"), v.broadcast("rstd")
	v.each("y x gain bias", 2, func(at at) {
		h := at.load("x")
		VSUBPS(mean, h, h)
		VMULPS(rstd, h, h)
		VFMADD213PS(at.load("bias"), at.load("gain"), h)
		at.store(h, "y")
	})
	v.end()
}

func (v vector) normGradSums() {
	v.routine("normGradSums", "(dy, x, gain []float32, mean, rstd float32) (sumE, sumEH float64)")
	mean, rstd := v.broadcast("mean"), v.broadcast("rstd")
	sumE, sumEH := []VecVirtual{v.zero(), v.zero()}, []VecVirtual{v.zero(), v.zero()}
	v.each("dy x gain", 2, func(at at) {
		e, h := at.load("gain"), at.load("x")
		VMULPS(at.load("dy"), e, e)
		VSUBPS(mean, h, h)
		VMULPS(rstd, h, h)
		VADDPS(e, sumE[at.n], sumE[at.n])
		VFMADD231PS(e, h, sumEH[at.n])
	})
	VADDPS(sumE[1], sumE[0], sumE[0])
	VADDPS(sumEH[1], sumEH[0], sumEH[0])
	v.store32(sumE[0], Return("sumE"))
	v.store32(sumEH[0], Return("sumEH"))
	v.end()
}

func (v vector) normGrad() {
	v.routine("normGrad", "(dx, residual, dgain, dbias, dy, x, gain []float32, mean, rstd, meanE, meanEH float32)")
	mean, rstd, meanE, meanEH := v.broadcast("mean"), v.broadcast("rstd"), v.broadcast("meanE"), v.broadcast("meanEH")
	v.each("dx residual dgain dbias dy x gain", 1, func(at at) {
		dy, h, e := at.load("dy"), at.load("x"), at.load("gain")
		dgain, dbias := at.load("dgain"), at.load("dbias")
		VSUBPS(mean, h, h)
		VMULPS(rstd, h, h)
		VFMADD231PS(h, dy, dgain)
		at.store(dgain, "dgain")
		VADDPS(dy, dbias, dbias)
		at.store(dbias, "dbias")
		VFMSUB213PS(meanE, dy, e) // dy gain - meanE
		VFNMADD231PS(meanEH, h, e)
		VFMADD213PS(at.load("residual"), rstd, e)
		at.store(e, "dx")
	})
	v.end()
}
