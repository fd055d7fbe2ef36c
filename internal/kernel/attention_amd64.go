//go:build amd64 && !purego

package kernel

var attnLoops32 = [...]attnLoops[float32]{
	portable: portableAttnLoops[float32](),
	avx2: {attnSoftmaxAVX2, attnProbabilitiesAVX2, attnSoftmaxBackwardAVX2,
		attnTanhAVX2, attnTanhBackwardAVX2, attnScaleRowsAVX2, copyRowsAVX2, dotRowsAVX2, rotateHalfAVX2},
	avx512: {attnSoftmaxAVX512, attnProbabilitiesAVX512, attnSoftmaxBackwardAVX512,
		attnTanhAVX512, attnTanhBackwardAVX512, attnScaleRowsAVX512, copyRowsAVX512, dotRowsAVX512, rotateHalfAVX512},
}
