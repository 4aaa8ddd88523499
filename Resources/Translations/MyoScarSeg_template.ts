<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="" sourcelanguage="en_US">
  <context>
    <name>MyoScarSeg</name>
    <message>
      <source>&lt;p&gt;Segments myocardial scar on late gadolinium enhancement (LGE) short-axis MRI. Choose the volume, press &lt;i&gt;Propose boxes&lt;/i&gt;, look through them, press &lt;i&gt;Segment all&lt;/i&gt;, and correct what is wrong with boxes, points or brush. Volume and mass are measured as you work. The second tab teaches the models with studies that you have corrected. The first use shows what has to be installed.&lt;/p&gt;&lt;p&gt;Pages that come with the module: the button &lt;b&gt;?&lt;/b&gt; has the keys, a quick start, and what helps when something is wrong. To try it: &lt;i&gt;Sample data&lt;/i&gt;.&lt;/p&gt;&lt;p&gt;&lt;b&gt;For research, not for clinical decisions.&lt;/b&gt;&lt;/p&gt;</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>&lt;p&gt;Built on 3D Slicer, SAM (Apache-2.0) and ultralytics YOLO (AGPL-3.0); the method is that of YoloSAM (MICCAI 2025). The models were trained on EMIDEC (Lalande et al., Data 2020, 5, 89; CC BY-NC-SA 4.0) and start from LiteMedSAM (Ma et al., Nature Communications 2024, 15, 654; Apache-2.0). CITATION.cff says how to cite.&lt;/p&gt;</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose an LGE volume, or load the sample data.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Undo the last step: boxes, points, masks and settings go back together (Ctrl+Z)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>↶</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Do again what was undone (Ctrl+Shift+Z)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>↷</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The keys of this module, and how to work with it (?)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop what is running; nothing of it comes into the scene (Esc)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Start the segmentation process again</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Retry</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show what has to be installed, how large it is and from where</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What this kind of message means and what helps; a page that comes with the program</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Help</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy this message and the technical log, for a report</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy log</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Study</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The LGE short-axis volume to work on. The likely one is chosen by itself.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose an LGE volume</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make a phantom study with known scar, to try everything on; nothing is downloaded</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Sample data</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices prepared in the background. A prepared slice answers at once.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Find boxes around scar on every slice (Shift+P). Boxes that you drew, accepted or rejected stay.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Propose boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment scar on all slices with boxes or + points (Ctrl+Shift+Enter)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment all</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment the displayed slice again (Ctrl+Enter)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>–</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar volume: area times the distance between slices, so gaps count</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mL scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar mass: volume times 1.05 g/mL</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>g scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Outlines likely to be wrong: much of this scar is uncertain. Look at them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Confidence</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Least confidence of a proposed box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Least confidence of a proposed box, as the table below tells it; takes effect with the next Propose boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Back to the confidence that the model was validated with</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>↺</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click a row to go to its slice; click a heading to sort</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>State</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>By</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw a box: drag in a slice view that shows the slices (D)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept the selected box and go to the next that needs review (Enter)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reject the selected box: it stays in the list and is not segmented (Shift+R)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reject</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the selected box (Delete)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy the selected box to the next slice (C)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Previous slice that needs review (Shift+N)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>◀</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Next slice that needs review (N)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>▶</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the boxes in the slice views; hold H to hide boxes and scar for a moment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>After an edit of a box or point its slice is segmented again at once</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Live on edit</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment all also replaces slices in which you painted. Undo brings them back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Painted slices too</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click on scar that was missed (A); Esc ends</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click on what is not scar (X); Esc ends</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take the latest point away</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Suggest boxes on the slices beside scar that you accepted or corrected, where it goes on (Shift+C). They count once you accept them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Suggest on neighbors</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Threshold</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Probability from which on a pixel counts as scar (J and K). Reversible.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Grow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Grow the scar, or shrink it (below 0), in millimeters in the slice (Shift+K and Shift+J). Reversible.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> mm</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Opacity</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How strongly the scar is filled in the slice views</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the outline of the scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Outline</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take away boxes, points and the model's masks of this study. What you painted stays; undo brings everything back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Clear</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Go to the Segment Editor with this segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment Editor</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Correct by hand</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Paint and erase here; painted slices are kept when the model runs again</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Numbers</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar per slice; click a row to go to its slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mm²</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mL</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>g</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy the numbers, to paste them into a spreadsheet</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write numbers, masks, boxes and settings of all studies in the scene to a folder</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Export results ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>For research. Not for clinical decisions.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Burden</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Find wall, blood pool and RV insertion points. Slices whose wall you painted, and points that you moved, stay.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Propose walls</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the report of this study as a page (PDF, HTML) and as tables (CSV, JSON) into a folder</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Report ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Print name, ID and dates of the patient on the report and in its tables; without it the report has the case name alone</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>With patient name</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the segments (DICOM SEG) and the numbers (structured report) beside the report. They carry the name and ID of the patient, so that they can be archived</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>DICOM SEG and SR</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The DICOM files have the case name instead of the patient's name and ID, and no dates</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pseudonym</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar burden, as the segments are now</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>AHA segments</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar in each of the 17 segments</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar of each segment: grams, % of its wall, and mean transmurality in %</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Deep</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Picture</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pictures of the burden, drawn while you edit</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What to show</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show this picture beside the slices as a Slicer plot, which follows your edits; press again for the views as they were</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer plot</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reference methods</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Thresholds for scar in the known wall: n-SD, FWHM, Otsu, mixture</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar by thresholds inside the wall; select a row to see its outline. Hover over a row for source and threshold.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Method</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>% LV</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dark wall that is enclosed by scar, or drawn as no-reflow, counts as scar in these methods</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No-reflow counts as scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw the remote region of the n-SD methods as a segment of its own, to be corrected by hand</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Correct the remote region</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Parts of fewer pixels than this are left out; 0 keeps all</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>parts from </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> px</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Put the selected method's scar in place of the one that is there. It counts as drawn by you; Undo takes it back.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use this</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Walls, septum, levels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take the wall from a segmentation or from curves; turn the insertion points; levels of slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A segmentation or label map with the left ventricular myocardium, known by name or code</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segmentation or label map</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take wall, blood pool and no-reflow of this node in place of those that are there</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make walls of the closed curves that are drawn in the slices (module Markups): endo- and epicardium; slices between drawn ones are interpolated</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make walls of closed curves</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Septum turned by</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Set the RV insertion points by an angle instead of dragging them: 0 is where the patient's axes have the septum, more turns it towards the inferior wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This slice counts as</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Which third of the ventricle the displayed slice counts to in the AHA segments</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>by the rules</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>base</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mid</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>apex</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>tip (segment 17)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>in no segment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Review</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Your code, under which your reviews are kept: letters, digits, dots, dashes and underscores</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reader</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Shared: each study is reviewed once, by whoever opens it first. Double: each reader reviews all and does not see what the others say.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>shared</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>double</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open the results folder of myoscarseg batch, to go through its studies</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open cohort ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The studies of the cohort; double-click one to open it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mass (g)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Flags</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Go back to the study before that waits for a review (PgUp)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Previous</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Go to the next study that waits for a review; what you edited and did not accept stays in the scene (PgDown)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Next</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept the scar as it is now, with your edits, and go to the next study (Shift+A)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Why the study is rejected</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reason for a reject</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The study is not to be used, for the reason that you give; go to the next study</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add the study, as you corrected it, to the training library</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>To library ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Advanced</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Box model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model that proposes boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use a box model of your own: a YOLO checkpoint</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model that segments scar in a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use a scar model of your own: a SAM checkpoint</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The first Propose boxes of a study enlarges the heart in the slice views and sets window and level for scar; Undo takes both back</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the heart after Propose</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A checkpoint from elsewhere may hold a program that runs when it is loaded. Tick this only for files whose origin you trust.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Trust own checkpoints</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Download the chosen models that are not here yet; their checksums are verified</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Download</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Device</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Where the networks run</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Run the scar model on this device once, and measure its speed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Test</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Threads</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Processor threads of the segmentation process; automatic leaves the choice to it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>automatic</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Batch</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Boxes and points that the scar model takes at once; fewer need less memory, more are faster on a graphics card</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> prompts</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cache</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Most memory for prepared slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> MiB</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep prepared slices on disk too, so that a study opened again answers at once</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>also on disk</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the prepared slices on disk, those of trainings too; they are made anew when they are needed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Empty</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What is installed for segmentation, and what is missing</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Packages ...</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>MyoScarSegAddStudyForm</name>
    <message>
      <source>Patient code</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Code of the patient, never the name. Exams of one patient have one code.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reader</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Your code, so that it is known later who corrected the study</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment that is scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Myocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment of the heart's wall, if it was drawn: scar lies nowhere else</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Blood pool</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment of the left ventricle's cavity, if it was drawn</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No-reflow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment of the dark core in the scar (MVO), if it is one of its own</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All slices are reviewed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Only these:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices that are right, as 2-9, 11. The others are not learned from.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tags</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Words by which you will find the case again, separated by commas</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>none</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Without this a study that is in the library already is refused</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Replace the case of this patient if the library has it</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>MyoScarSegInstallForm</name>
    <message>
      <source>For a computer without a graphics card that PyTorch can use</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Without graphics card support (much smaller download)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install from a folder of wheels, on a computer without network</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wheel folder ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Put what pip has said on the clipboard</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy log</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install what is missing, in a process of its own</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop the installation, or close this window</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>MyoScarSegSubjectHierarchyPlugin</name>
    <message>
      <source>Segment scar...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>&lt;p&gt;&lt;b&gt;MyoScarSeg&lt;/b&gt;: a study's boxes, points, walls, scar and tables lie together in a folder.&lt;/p&gt;</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What MyoScarSeg made for this volume</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>MyoScarSegTraining</name>
    <message>
      <source>Choose a folder for the training library.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop what is running; what is done so far is kept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show what has to be installed for training, how large it is and from where</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Install ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What this kind of message means and what helps; a page that comes with the program</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Help</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy this message and the end of the training's log, for a report</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy log</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Library</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No library chosen</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the folder of the training library: an empty one becomes a new library. Other Slicers may use it at the same time.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep the study of the first tab, as it is corrected now, to learn from</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add this study ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add studies that are segmented already: folders of volumes and segmentations, YoloSAM's images and masks, Slicer scenes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Import</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show only cases with this in case, patient, reader, tags or state</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Filter</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The cases of the library; a double click opens one in the scene</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Case</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Added</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>State</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Load the case into the scene, ready to be corrected</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The files of the case were changed outside of the library: take them as they are now</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy the chosen cases to a folder: volume, segmentation and record</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Export ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the chosen cases from the library</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Split by patient</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Validation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patients to learn from</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Let the chosen patients validate</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>▶</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Let the chosen patients train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>◀</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Leave the chosen patients out</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>✕</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patients on whom the new model is compared with the old one; it never learns from them</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Left out</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patients on neither side: they are not used</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>One patient in so many validates</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 in </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> validates</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Of the draw: the same seed and patients give the same split</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>seed </source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw the sides of all patients anew, normal and infarct hearts spread evenly</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What is to learn</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Start from</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar model that learns on</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Box model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Box model that learns on</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mode</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How much of the network learns</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Preset</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How long it may take</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Time</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not measured yet</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Measure for some seconds on this computer how long the training will take</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Estimate</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Advanced</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Epochs</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Passes over the training slices; automatic leaves it to the preset</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>automatic</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Early stop</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop after so many epochs without a better validation, 0 for never; automatic leaves it to the preset</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> epochs</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Variation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How strongly slices are varied while learning: turned, shifted, brighter, noisier</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show slices of the library as the training varies them</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Preview</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices of the library as the training varies them</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Losses of the scar model (automatic: as the mode needs)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Weight of the overlap</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cross-entropy</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Weight of the error per pixel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>KL</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Weight of the divergence from soft labels, for uncertain edges</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Label edge</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>How uncertain the drawn edges are: they are softened by this much before learning</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> px</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Device</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Where the training runs</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Seed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Of everything that is drawn by chance while learning</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Name</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Name of the new model; automatic if empty</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Set everything in this section back to what is usual</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Defaults</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Start the training in a process of its own: Slicer stays free, and may even be closed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Progress</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Let it rest: it goes on later exactly where it was</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pause</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>End the training now and keep the best model so far</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop, keep best</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>End the training and keep nothing of it but its record</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Loss of the training and Dice of the validation, per epoch</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Show the curves in Slicer's plot view</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Plot view</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Look back at earlier epochs</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Results</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a model that was trained elsewhere: a .safetensors file with its card</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Import ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All trainings of this library, the newest first; choose one to see its curves and its comparison</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Settings</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep the model, and segment with it from now on</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use this model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take up the settings of this training, to start it again or with a change</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Repeat</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep the model under a name, beside those that come with the program</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Write the model and its card to a folder, for others</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the training with its models</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Discard ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Compare this model with the one in use on the validation patients</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Compare</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Means over the validation patients; in the last column the new model less the one in use, with its 95% interval</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>New</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>In use</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Difference</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The validation patients; click a row to see the new model's worst slice of it in the slice views</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patient</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice new</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>in use</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Mass true</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>new</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.box_table</name>
    <message>
      <source>Scar boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The table of boxes has no column {names}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Row {row} of the table of boxes is no box: {why}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>its slice is {slice}, which is no whole number.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.box_views</name>
    <message>
      <source>Scar box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar box, slice {slice}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.burden_plots</name>
    <message>
      <source>Intensity in the wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Intensity</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pixels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Transmurality along the wall, by level</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar of each slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{title}: not measured, the wall is missing</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>base</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>mid</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>apex</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Degrees ({walls})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Degrees</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall without scar</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.drawn_walls</name>
    <message>
      <source>Nothing in {name} is called left ventricular myocardium. Name the wall's segment or color "LV myocardium" and the blood pool's "LV blood pool", and take it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There are no closed curves in the slices of this volume. Draw the endo- and epicardium with the module Markups.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>On slice {slice} it is not clear which closed curve is the endocardium and which the epicardium. Have two there, or write "endo" and "epi" into their names.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is an endocardium and no epicardium on {slices}. Draw it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The label map {name} lies on other voxels than the volume {volume}. Import it into a segmentation with the module Segmentations, and take that.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.engine_requests</name>
    <message>
      <source>Cancelled.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing continues beside slice {slice} where there is no box yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The study has slices 0 to {last}; there is no {slices}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no box that counts and no + point on {slices}: accept or draw one first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The calculation process ended unexpectedly; it was started again, and asked again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 box suggested, on {slices}. It counts once you accept it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{boxes} boxes suggested, on {slices}. They count once you accept them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slice {slice}: {why}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.export</name>
    <message>
      <source>There is nothing to export yet: segment a study first.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.guidance</name>
    <message>
      <source>Nothing is running.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose an LGE volume first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No slice view shows a slice of this volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to undo.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to redo.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to export yet: segment a study first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wait until the running step has ended, or cancel it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to report yet: segment the study first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no box and no + point yet: propose boxes, or draw one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept or correct the scar of this slice first: what you confirmed is looked for on its neighbors.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The chosen segmenter answers boxes and points only; it does not see the wall.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The chosen segmenter answers boxes and points only; it does not look at neighboring slices.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation process does not start. See the message above; Retry starts it again.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose an LGE volume: no volume of the scene ({n}) looks like one by its name and shape.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose an LGE volume, or load the sample data.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Boxes or points changed on {slices}: press Segment all to bring the masks up to date.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Look through the slices and correct what is wrong; then write the report, and save the scene.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Look through them, then press Segment all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Press Segment all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Look at them, and accept those that you take for scar; then press Segment all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All {slices} slices were looked at, and no scar was proposed. If you see some, draw a box around it in a slice view; then press Segment all.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Press Propose boxes, or draw a box around scar in a slice view.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 box.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{boxes} boxes on 1 slice.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{boxes} boxes on {slices} slices.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 faint place is not counted: {slices}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} faint places are not counted: {slices}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No scar was found on the one slice that was segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No scar was found on the {n} slices that were segmented.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar: {pixels} pixels (the volume has no spacing).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar: {ml:.1f} mL, {g:.1f} g.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar: {ml:.1f} mL, {g:.1f} g ({low} to {high}).</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.history</name>
    <message>
      <source>There is nothing to undo. What was done before the scene was opened, or the study's volume changed, stays.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is nothing to redo.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.landmark_points</name>
    <message>
      <source>{name} RV insertion points</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>RV anterior</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>RV inferior</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.lge_volumes</name>
    <message>
      <source>1 slice of {columns} x {rows} pixels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{slices} slices of {columns} x {rows} pixels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no spacing: areas in pixels only</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{i} x {j} mm</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{distance} mm between slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{low} to {high} mm between slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>magnitude</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It has only a few whole-number values, as a label map has: is this really the LGE image?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cannot be used, and counts as free of scar: {slices} ({reasons}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Check the spacing: Slicer takes 1 mm where a file says none, and then no mL and no g here is right.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no volume. Load an LGE study, or choose its volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} has several numbers per voxel ({kind}); an LGE image has one. Choose a scalar volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} is a label map, not an image. Choose the LGE volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} holds no image. Load it again, or choose another volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} has {number} numbers per voxel (a color picture, or several time points); an LGE image has one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} has only one slice ({size} voxels); scar is measured on a stack. Load the whole stack.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} has no valid spacing or directions. Correct them in the Volumes module.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the volume's name says so</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{slices} thick slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>its name says LGE</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>its name says short axis</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name}: {why}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.mask_steps</name>
    <message>
      <source>Segment scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Threshold</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Grow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Shrink</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Growing and shrinking are between {low} and {high} mm, not {value}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Clear</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use {method}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.model_words</name>
    <message>
      <source>Dice {value:.2f} with experts' boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice {value:.2f} on its own</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>covers {value:.0%} of scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>finds {value:.0%} of the lesions</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{value:.1f} false boxes per slice</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.notices</name>
    <message>
      <source>Kept as you painted: {slices}.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.point_lists</name>
    <message>
      <source>Scar is here (+)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No scar here (-)</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.probability_volume</name>
    <message>
      <source>{name} scar probability</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.prompt_steps</name>
    <message>
      <source>Add a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Accept a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reject a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Change a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Copy a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slice {slice} is the last one; there is none to copy the box to.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a + point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a - point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove a point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no point to remove.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Propose boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Suggest boxes</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.result_tables</name>
    <message>
      <source>yes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>all</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar provenance</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Note</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar burden</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar segments</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not measured after the latest changes: open Reference methods in the panel.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar by reference methods</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar within the wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar outside the wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>LV myocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>LV blood pool</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No-reflow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Core</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Grey zone</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Largest lesion</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar, share of LV</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar, share of LV, from</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar, share of LV, to</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Lesions</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Transmurality, all chords</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Transmurality, where scar is</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Transmurality, deepest chord</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall with more than 25%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall with more than 50%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall with more than 75%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Extent along the endocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall thickness</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name}: not imaged</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.reviewed_study</name>
    <message>
      <source>The image of {case} is coarser in the slice than across: it cannot be shown.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open the case</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.saved_study</name>
    <message>
      <source>slice {slice} is of a run that is not there</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar study</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>its record</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What {name} says of the study cannot be read: {why}. Boxes, points and the segmentation are there; the masks count as drawn by you.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.scene_console</name>
    <message>
      <source>A report has the patient's name or a pseudonym, not both.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The pseudonym {name} must be letters, digits, '_', '-' and '.'.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Another folder is being processed. Wait for it, or cancel it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>workers must be 1 or more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give a volume node: there is none.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.study_folder</name>
    <message>
      <source>{name} scar</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.study_nodes</name>
    <message>
      <source>Edit {slices} by hand</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Edit the wall on {slices}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the wall</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.study_session</name>
    <message>
      <source>The study was closed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose this volume first: the study of another one is in hand.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume was deleted. Choose another one.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.study_state</name>
    <message>
      <source>There is no box {id} any more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Move an insertion point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete the insertion points</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove a point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Move a point</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete a box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Change a box</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.tissue_segment</name>
    <message>
      <source>This is no segmentation. Choose a segmentation node, or none for a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation {name} is not in the scene of the volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation {name} is locked. Unlock it, or choose another one, or none for a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation {name} is made of {kind}, not of voxels. Make binary labelmap its source representation in the module Segmentations, or choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segmentation {name} lies on another grid than the volume {volume}, so scar would not stay on its voxels. Choose another segmentation, or none for a new one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A non-linear transform lies between the volume {volume} and the segmentation {name}. Put both under the same transform, or choose another segmentation.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.translation</name>
    <message>
      <source>{first} and {more} more</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>slice {numbers}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>slices {numbers}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.ventricle_steps</name>
    <message>
      <source>Propose the wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose a segmentation or a label map with the wall.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} is the study's own segmentation: its wall counts already.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Take the wall of {name}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Make the wall of curves</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Level of slice {slice}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The insertion points lie on the wall: propose that first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>An angle is a number of degrees, not {degrees}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Turn the insertion points</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The remote region is a part of the wall: propose that first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The remote region is drawn already: correct its segment, or delete that for a new proposal.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw the remote region</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>scene.workflow</name>
    <message>
      <source>The module was closed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Working ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Another volume was chosen.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume was deleted.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume was deleted. Choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The volume was changed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The scene was closed.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.add_dialog</name>
    <message>
      <source>Add this study to the training library</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the patient's code.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Volume {name}, as it is corrected now.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>choose</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not drawn</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the reviewed slices as numbers and ranges, such as 2-9, 11.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.advice</name>
    <message>
      <source>The folder of the training library is gone. Put it back, or choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the folder of the training library first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The library has no case yet. Add a study, or import some.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A training needs two patients at least: one to learn from, one to be measured on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wait for what is being done, or cancel it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training {name} is running. Stop or cancel it first, or wait for it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no training yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training is running. Stop or cancel it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model is compared by itself when the training is done.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This training has no model.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose a folder for the training library: an empty one, or one that you or a colleague has begun.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Working. You can go on in Slicer meanwhile.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model is learning. You can go on in Slicer, or close it: the training goes on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Look at the comparison, and use the new model if it is better.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The best model so far is kept. Compare it with the one in use, or resume the training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Resume the training to go on where it was.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training failed; what it says is below. Put it right and resume, or start another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add the study that you have corrected in the first tab, or import cases.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Add studies of more patients: one learns, another one shows how good the model has become.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Some cases have a problem, see the table; they are left out of the training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A patient is on neither side of the split: choose one, or draw the split anew.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} patients are on neither side of the split: put them on one, or draw the split anew.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>You can train now, but so few patients do not show whether the new model is better: five or more are wanted.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Press Train. The defaults suit most; the estimate says how long it takes.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.case_nodes</name>
    <message>
      <source>Nothing is segmented yet. Segment the study, and correct it, before it is added.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no role {role}; there are {roles}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>None of the segments is called scar. Choose the one that is; in a patient without scar it is empty.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>One segment was chosen for two roles. Choose another one, or none.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The segment that was chosen is gone. Choose another one.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A segment cannot be put onto the volume's voxels. Make binary labelmap its representation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open the case</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.case_table</name>
    <message>
      <source>complete</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>unreviewed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>problem</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>trains</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>validates</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{reviewed} of {n} slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{mass} g</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Case {case} of patient {patient}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{reviewed} of {all} slices reviewed; scar on {n}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>From {source}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Tags: {tags}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.compared_view</name>
    <message>
      <source>Reader</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>New model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model in use</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} compared</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.comparison_section</name>
    <message>
      <source>Compare again</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Compare</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not compared yet with the model in use.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{new} against {used}, 1 validation patient</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{new} against {used}, {n} validation patients</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A click on a patient shows its worst slice, outlined: blue the reader, orange the new model, green the one in use.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Worst slice: {k}, Dice {new} (in use: {used})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A patient without scar: all that is drawn is false.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} patients; in brackets 95% intervals by drawing patients anew</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>New: {figure}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>In use: {figure}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A difference as large comes about by chance in {percent} % of cases</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.dialogs</name>
    <message>
      <source>Keep</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keep the model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Lower-case letters, digits, dots, hyphens and underscores</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Name by which the model is chosen later:</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Use lower-case letters, digits, dots, hyphens and underscores.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>What do these labels mean?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Import</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing says what the values in the label files are. Say it, and the import goes on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>choose</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No-reflow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Myocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Blood pool</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>None of these</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Value {value}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.library_cases</name>
    <message>
      <source>Choose a volume in the first tab.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment the study in the first tab, and correct it, before it is added.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wait until the first tab has done its work.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{case} is in the library.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 case is in {folder}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} cases are in {folder}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The library has no readable case {name}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} is open already.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose a volume first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{added} added, {same} were there already, {problem} not added.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Codes given: {codes}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source> And {n} more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The library has no patient {patient}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>There is no side {side}; there are training and validation.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Somebody has to train. Put another patient there first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Somebody has to validate, to show how good the model is. Put another patient there first.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.library_section</name>
    <message>
      <source>Folder of volumes and segmentations, or YoloSAM's images ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer scenes (.mrb, .mrml) ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder of the training library (an empty one becomes a new library)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder with studies that are segmented already</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer scenes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer scenes (*.mrb *.mrml)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder for the cases</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>case {name}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} cases</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove {what} from the library?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Volume and segmentation are deleted from the library's folder. Models trained with them stay as they are.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Remove</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No library yet: choose a folder for it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{cases} cases, {patients} patients</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{shown} of {text}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Select a case in the table first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Select one case only.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.library_watch</name>
    <message>
      <source>The training library is there again.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.progress_section</name>
    <message>
      <source>Train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Train · {how_far}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel the training?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Its models are deleted, also the best so far. To keep that one, press Stop instead.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel the training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Resume</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pause</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Go on with the training where it was</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Epoch {n}: {reader} reader {model} model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{patient}, slice {k}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>scar model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>box model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>epoch {n} of {all}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>about {time} left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{size} MiB of memory</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{time} so far</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Best scar model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Best box model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{what}: Dice {dice} at epoch {n}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>planned</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>running</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>paused</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>stopped</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>cancelled</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>finished</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>failed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>interrupted</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Starting</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reading the cases</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Preparing the slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Learning</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Measuring on the validation patients</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Comparing with the model in use</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.runs_section</name>
    <message>
      <source>Folder for the model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Discard the training {name}?</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Its models, curves and comparison are deleted. What was kept under a name of its own stays.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Discard</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model file</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Models (*.safetensors)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>In use: {name}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>boxes, {preset}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>both</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>scar</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.split_section</name>
    <message>
      <source>Training ({n})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Validation ({n})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Left out ({n})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patients appear here as cases are added.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Not drawn yet. The model is measured on patients from whom it does not learn.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Changed by hand. Saved with the library and with every training.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Drawn with seed {seed}. Saved with the library and with every training.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.train_section</name>
    <message>
      <source>nothing learned yet (fresh)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} (usual)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Box model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Start from</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>measuring ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not measured yet</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not measured for these settings</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Measured on this computer ({device}).</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>about {time} ({low} to {high})</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.trained_models</name>
    <message>
      <source>Written to {folder}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model is here as {name}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training {name} has no model that could be kept.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Kept as {names}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>In use from now on: {names}.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.training_console</name>
    <message>
      <source>Give a volume node: there is none.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training was not begun.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Give the folder of the training library.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It was not begun.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.training_curves</name>
    <message>
      <source>Loss</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice end to end</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice with the reader's boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Epoch</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice, loss</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.training_pictures</name>
    <message>
      <source>Dice end to end</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Dice with true boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>loss</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.training_workflow</name>
    <message>
      <source>Wait for what is being done, or cancel it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It ended without saying why.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>training.trainings</name>
    <message>
      <source>Choose the folder of the training library first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training goes on also when Slicer is closed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Left out, for the library has no readable case of them: {patients}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training's process ended unexpectedly; it goes on from its last checkpoint.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The library has no training {name}.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The training is running. Stop or cancel it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Nothing was compared yet.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Patient {patient} was not compared.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The case of {patient} is not in the library any more.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slice {k} of {case}: blue the reader, orange the new model, green the model in use.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Draw the split first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The library has no case any more of those who {do}. Draw the split anew.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>validate</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The step in hand ends first, which may take some minutes.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.advanced_section</name>
    <message>
      <source>The installation of packages was not finished. Install goes on with it.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The model {gone} is not there any more; {instead} is used.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Model file</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Stop</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Downloading {names} ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Download</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Packages are missing.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All packages are installed.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Testing ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancelled.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{size:.1f} GB of prepared slices were deleted.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Empty ({size:.1f} GB)</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.boxes_section</name>
    <message>
      <source>Restore</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reject</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} to review</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 faint box, look here</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} faint boxes, look here</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>All reviewed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>faint</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>you</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{origin}. The box has {size}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n:.0f} pixels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{area:.0f} mm²</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>suggested</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>drawn</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>proposed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>accepted</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>rejected</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Set by you</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Proposed by {model}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Little, or not clearly brighter than healthy wall: more often no scar, so it is not counted. Accept it if it is.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar that you confirmed on a neighboring slice goes on here. It counts once you accept it.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.burden_section</name>
    <message>
      <source>Folder for the report</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder for the report. Its DICOM files carry the name and ID of the patient, so that they can be archived</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder for the report. Its DICOM files carry the case name instead of the patient</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Written: {report} in {folder}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>This volume did not come from Slicer's DICOM database.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>It is for DICOM files; the report itself has the case name unless you ask for the patient's.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The report is to have the patient's name.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.burden_words</name>
    <message>
      <source>{scar} ({low} to {high} g)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{share} ({low} to {high}%)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Share of LV</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>LV myocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar outside it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{amount}, in no percentage</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>, {mm} mm across</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n}; largest {amount}{across}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Lesions</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No-reflow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{amount}, counted in scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Core, grey</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{core} and {grey}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{mean}% where scar is, most {most}%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{half}% of the wall above 50%, {more}% above 75%</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{percent}% of the endocardium</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Transmurality</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Extent</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name}: not imaged</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No wall yet: Segment all proposes one. Without it there is no share of the myocardium.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall proposed by the model</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall taken from labels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall made of curves</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wall drawn by hand</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{source}; closed on 1 slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{source}; closed on {n} slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>edited on {slices}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>insertion points set by you</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>insertion points proposed: drag them if they are off</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>insertion points guessed from the patient's axes: drag them</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>insertion points set by an angle</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>no insertion points</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} px</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{g} g, {ml} mL</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{g} g</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.help_window</name>
    <message>
      <source>MyoScarSeg: help</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close this window</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.methods_section</name>
    <message>
      <source>Reference methods look for scar within the wall: propose it first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the model's scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>the scar that is drawn</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>threshold {low} to {high}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{difference} g against {scar}</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.model_choice</name>
    <message>
      <source>Checkpoints ({endings});;All files (*)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{name} (usual)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Your file {path}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>not downloaded yet</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>damaged</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.mouse</name>
    <message>
      <source>This view cuts across the slices. Draw in one that shows a slice of the volume.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Drag a box around scar. Esc ends.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click on scar that was missed, or scribble over it. Esc ends.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Click on what is not scar, or scribble over it. Esc ends.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.numbers_section</name>
    <message>
      <source>The numbers are on the clipboard.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Folder for the results</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>1 study written to {folder}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} studies written to {folder}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{amount} of it outside the wall: in no percentage</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Scar mass: volume times {density} g/mL</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>g scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>g ({low} to {high})</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>In nine of ten studies the expert's mass lies within; measured on patients the model never saw.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} px</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>painted</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.packages</name>
    <message>
      <source>Folder with all packages as wheels</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>MyoScarSeg: packages for training</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>MyoScarSeg: packages for segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Cancel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Looking at what is installed ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{time} left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Restart Slicer to use them.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Everything is installed.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.panel</name>
    <message>
      <source>Unexpected error: {why}. What you did last may not be complete. Copy log has what a report needs.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Train</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Find and draw scar in a study, correct it, measure it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Teach the models with corrected studies, and choose the better one</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.picture_section</name>
    <message>
      <source>Bullseye</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Bars per slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Along the wall</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Intensities</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer has no plot for this picture.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Pictures need packages that are not installed yet.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.process</name>
    <message>
      <source>Python cannot be started ({program}): {why}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Slicer's Python interpreter (PythonSlicer) is not found. Install Slicer again.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.review_section</name>
    <message>
      <source>Results folder of a cohort</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open the results folder of a cohort first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open a study of the list first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reading the list ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>The results folder does not answer.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Reading {case} ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{case} is in hand.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} of {total} wait for a review.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>edited, not accepted</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>accepted</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>edited</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>rejected</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{said} by {reader}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>open at {reader}'s</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Double-click to open {case}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>done</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>incomplete</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>failed</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>cancelled</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>gone</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>likely wrong</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>faint places</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.review_session</name>
    <message>
      <source>Say why the study is rejected: motion, no scar visible, another series, ...</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Open a study of the list first.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wait until the results folder has answered.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Wait until the first tab has done its work.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{case}: accepted.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{case}: edited, {mass} g.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{case}: rejected.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>No other study waits for a review.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.sample_data</name>
    <message>
      <source>EMIDEC has LGE studies of 100 patients with the contours of experts, from the University Hospital of Dijon. Its makers hand them out after a registration at {address}, under {license}: for no commercial use, with their citation. Load the file Case_P001/Images/Case_P001.nii.gz of it by Add data. Open the page now?</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.shortcuts</name>
    <message>
      <source>draw a box: drag in a slice view</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>N / Shift+N</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>next / previous box that needs review</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Enter</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>accept the selected box, go to the next</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>reject the selected box, or restore it</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Delete</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>delete the point under the mouse, else the selected box</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>copy the selected box to the next slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Shift+arrows</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>move the selected box by one pixel</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>add a + point (scar) / − point (no scar)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>threshold down / up</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>shrink / grow the scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>hold H</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>hide boxes, points and scar</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>propose boxes</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>suggest boxes where the scar of this slice, once confirmed, goes on</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>segment this slice</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>segment all slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>undo / redo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>PgDown / PgUp</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>next / previous study of the cohort that waits for a review</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>accept the study of the cohort, go to the next</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>leave the tool; then cancel what runs</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>this help</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>MyoScarSeg: keys and workflow</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Quick start</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Troubleshooting</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Opens a page that comes with the program</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Close this window</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Choose the LGE volume. Its slices are prepared in the background.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Propose boxes, and look through them: accept, move, delete, draw.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segment all. Where it is wrong, move a box, add a + or − point, or paint by hand.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Read off volume and mass; save the scene, or export the results.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Keys while this module is shown:</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.status_section</name>
    <message>
      <source>The message and the log are on the clipboard.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{what} needs packages that are not installed yet. Nothing is installed before you have seen what it is.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{done} of {total}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{time} left</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Segmentation</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Undo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Redo</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{done} of {total} slices</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>Training</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.study_section</name>
    <message>
      <source>The sample study cannot be made: {why}</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>A phantom with known scar, to try everything on.</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{done} of {total} slices prepared in the background. A prepared slice answers at once.</source>
      <translation type="unfinished" />
    </message>
  </context>
  <context>
    <name>widgets.text</name>
    <message>
      <source>1 s</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} s</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>{n} min</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>automatic</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>processor</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>graphics card (CUDA)</source>
      <translation type="unfinished" />
    </message>
    <message>
      <source>graphics (Apple)</source>
      <translation type="unfinished" />
    </message>
  </context>
</TS>
