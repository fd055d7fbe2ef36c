//go:build !amd64 || purego

package kernel

func tiling32() *tiling[float32] { return &portable32 }
func tiling64() *tiling[float64] { return &portable64 }
