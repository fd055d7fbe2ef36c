//go:build !amd64 || purego

package machine

const probeChains = 0

func fmaProbe() (fma func(n int), lanes int)      { return nil, 0 }
func streamProbe() func(dst, src *float32, n int) { return nil }
func aligned([]float32) bool                      { return false }
