// Package golden reads the golden files: numbers that PyTorch and Hugging
// Face's transformers computed, against which the tests of the other packages
// compare their own. Only tests import it.
//
// The files lie in testdata, the Python scripts that make them in scripts;
// README.md lists what each holds. A file is a safetensors file whose metadata
// carries a JSON header. It is embedded, so that a test of any package finds it:
//
//	f := golden.Load(t, "adamw")
//	var header struct{ Steps int }
//	f.Header(t, &header)
//	want := f.Tensor(t, "plain/f64/param/matrix").Float64()
//	assert.LessOrEqual(t, golden.MaxDiff(got, want), 1e-12)
package golden
