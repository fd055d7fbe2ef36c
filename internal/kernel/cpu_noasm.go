//go:build !amd64 || purego

package kernel

// Constants, so that the compiler drops what only assembly needs.
const (
	useAVX2   = false
	useAVX512 = false
)

func init() { startLevel() } // tells of an unknown name on every platform

func processorLevel() level { return portable }
func currentLevel() level   { return portable }
func setLevel(level)        {}
